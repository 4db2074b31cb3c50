"""What a run has before it: cells, what they cost, and searches."""
