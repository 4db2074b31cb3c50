"""The protocols that users ask for by name."""
