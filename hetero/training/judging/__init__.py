"""Validation, with labels and without, and what its curves say."""
