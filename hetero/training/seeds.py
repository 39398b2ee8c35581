"""Seeds for single purposes, all from the one seed of a run."""

from __future__ import annotations

from hetero.files import digest


def seed_of(purpose: str, seed: int) -> int:
    """Derive a seed for a purpose from the run's seed."""
    return int(digest([purpose, seed])[:15], 16)
