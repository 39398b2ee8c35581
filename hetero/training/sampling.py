"""Which images make a batch: a pure function of seed and step, so that a resumed run sees the same batches."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from hetero.errors import InputError


class ClassBalancedSampler:
    """Draws some classes, and some images of each.

    Classes come in random order and none comes again before all have come. Images of a class are drawn without
    repetition while it has enough of them.

    Args:
        labels: int64 [n], class of each training image.
        classes_per_batch: Classes in a batch; reduced to the number of classes there are.
        images_per_class: Images of each.
        seed: Fixes every batch.
    """

    def __init__(
        self, labels: Int64[np.ndarray, " n"], *, classes_per_batch: int, images_per_class: int, seed: int
    ) -> None:
        present = np.unique(labels)
        if len(present) < 2:
            raise InputError(f"training needs images of at least two classes, got {len(present)}")
        order = np.argsort(labels, kind="stable")
        self._rows = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        self._classes = min(classes_per_batch, len(self._rows))
        self._images = images_per_class
        self._seed = seed
        # Two rounds meet in a batch at most, as long as no batch holds more than all classes.
        self._order = lru_cache(2)(self._shuffled)

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self._classes * self._images

    def shares(self, ranks: int) -> list[slice]:
        """Each rank's part of every batch: whole classes, as evenly as they divide.

        Raises:
            InputError: When there are more ranks than classes in a batch.
        """
        if ranks > self._classes:
            raise InputError(
                f"{ranks} processes share batches of {self._classes} classes: each needs at least one; start fewer, or "
                "raise classes_per_batch"
            )
        limits = [rank * self._classes // ranks * self._images for rank in range(ranks + 1)]
        return [slice(first, last) for first, last in pairwise(limits)]

    def batch(self, step: int) -> Int64[np.ndarray, " b"]:
        """Rows of the images of one step."""
        generator = np.random.default_rng([self._seed, 1, step])
        slots = np.arange(step * self._classes, (step + 1) * self._classes)
        rounds, places = np.divmod(slots, len(self._rows))
        orders = {turn: self._order(int(turn)) for turn in np.unique(rounds)}
        drawn = [self._draw(int(orders[turn][place]), generator) for turn, place in zip(rounds, places, strict=True)]
        return np.concatenate(drawn)

    def _shuffled(self, turn: int) -> Int64[np.ndarray, " k"]:
        return np.random.default_rng([self._seed, 0, turn]).permutation(len(self._rows))

    def _draw(self, index: int, generator: np.random.Generator) -> Int64[np.ndarray, " m"]:
        rows = self._rows[index]
        repeats = -(-self._images // len(rows))
        return np.concatenate([generator.permutation(rows) for _ in range(repeats)])[: self._images]
