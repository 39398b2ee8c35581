"""Vectors of texts in the cloud's space, from a text tower that is not run here."""
