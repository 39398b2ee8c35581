"""Resizers of platforms: golden files, and what another resizer would cost."""
