"""A torch of a few lines, shaped as the real one's graph classes: an attempt imports it at once."""
