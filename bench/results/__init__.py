"""What a run writes to disk: records, artefacts, claims on cells."""
