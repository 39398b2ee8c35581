"""Retrieval figures, compatibility between models, and how sure they are. Imports no torch."""
