"""Retrieval figures, compatibility between models, and their uncertainty. Imports no torch."""
