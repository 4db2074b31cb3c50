"""What can be stored: kinds of synthetic sets, and their archive."""
