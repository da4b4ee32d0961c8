"""What a comment asks for, and what is then run: pure."""
