"""What a run was asked for, by words, files and Python."""
