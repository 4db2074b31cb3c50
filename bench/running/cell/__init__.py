"""One planned cell: distil, judge, record."""
