"""How a set is judged."""
