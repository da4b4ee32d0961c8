"""What users read: the states of a comment, refusals, help."""
