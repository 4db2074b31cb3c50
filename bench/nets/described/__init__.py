"""The networks that users ask for by name: one module a family."""
