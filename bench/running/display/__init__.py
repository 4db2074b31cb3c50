"""How a run shows itself to a person: its plan, its progress, its end."""
