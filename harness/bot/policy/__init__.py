"""Who may have what measured: pure decisions on values."""
