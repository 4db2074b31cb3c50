"""What ``python -m bench new-method`` writes: working code, read as text and never imported by the suite."""
