"""A run of a grid: its options, its plan, one cell, many cells, and how it is shown."""
