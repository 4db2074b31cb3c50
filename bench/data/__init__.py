"""Datasets, decoding, splits and the clip store."""
