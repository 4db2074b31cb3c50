"""What can be stored: kinds of synthetic sets."""
