"""What a format is, and which there are."""
