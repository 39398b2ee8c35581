"""The definition of a format, and the registry of formats."""
