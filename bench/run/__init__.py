"""A grid: its plan, one cell, many cells."""
