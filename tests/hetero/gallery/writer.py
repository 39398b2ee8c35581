"""A process to be killed: adds items batch by batch and says so after each, without end."""

from __future__ import annotations

import sys

from hetero.gallery.embedded import index
from hetero.gallery.opening import open_gallery
from tests.hetero.gallery.places import V1, vectors

BATCH = 20
DISTINCT = 300
"""Later batches replace earlier items."""


def batch(number: int) -> tuple[list[str], int]:
    """The ids of a batch, and the seed of its vectors."""
    first = number * BATCH % DISTINCT
    return [f"item {first + offset}" for offset in range(BATCH)], number


def main() -> None:
    index._FEWEST_UNSAVED = 3 * BATCH  # pyright: ignore[reportPrivateUsage]
    store = open_gallery(sys.argv[1])
    number = int(sys.argv[2])
    while True:
        ids, seed = batch(number)
        store.add(vectors(BATCH, seed=seed), ids, V1)
        if number % 4 == 3:
            store.remove(ids[:2])
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    main()
