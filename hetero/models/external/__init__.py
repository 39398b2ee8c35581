"""Models that were not trained here."""
