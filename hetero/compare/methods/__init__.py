"""Comparisons that come with the package."""
