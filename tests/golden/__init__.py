"""Recorded results of tiny runs: what guards the versions in the identity of cells."""
