"""Words that everybody uses; nothing here knows of the rest."""
