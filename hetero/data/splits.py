"""Splits that follow from names and a seed alone."""

from __future__ import annotations

from collections.abc import Iterable

from hetero.files import sha256_bytes


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order that depends on the seed and the names only.

    Sorting by a digest stays the same over library versions and platforms, which random generators do not promise,
    and a name added later leaves the order of the others as it was.
    """
    return sorted(names, key=lambda name: (sha256_bytes(f"{seed}/{name}".encode()), name))
