"""What the jobs of the workflows do, one file each."""
