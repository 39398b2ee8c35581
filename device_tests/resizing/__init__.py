"""Resizers of platforms: golden files, and the cost of another resizer."""
