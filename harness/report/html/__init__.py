"""The HTML report: one self-contained page, made from what is stored and from the run's folder."""
