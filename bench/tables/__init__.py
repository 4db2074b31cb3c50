"""Statistics and tables, made from records alone."""
