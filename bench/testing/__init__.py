"""For authors of plugins: the conformance suite, `bench.testing.conformance`, which ``python -m bench check`` runs too."""
