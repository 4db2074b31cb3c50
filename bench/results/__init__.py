"""What a run leaves on disk: records, artefacts, claims on cells."""
