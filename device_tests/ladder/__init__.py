"""The verification ladder: from a bundle and targets to a verdict."""
