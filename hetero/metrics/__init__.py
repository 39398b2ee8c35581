"""Metrics of retrieval, verification and flips, and how sure they are. Imports no torch."""
