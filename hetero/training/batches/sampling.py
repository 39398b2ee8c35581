"""The images of a batch: a pure function of seed and step, so that a resumed run sees the same batches."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from hetero.errors import InputError
from hetero.training.config import TrainingConfig


class GroupSampler:
    """Draws some groups of images for each batch, and some images of each group.

    Groups are drawn in random order, and none again before all have been drawn. Images of a group are drawn without
    repetition while it has enough of them. A group may be a class; or one picture with its changed copies, of which
    one is drawn: then every picture is drawn once an epoch, whatever its class.

    Args:
        groups: int64 [n], group of each training image.
        groups_per_batch: Groups in a batch; reduced to the number of groups there are.
        images_per_group: Images of each group.
        seed: Fixes every batch.
        kind: Name of the groups in messages.

    Raises:
        InputError: When there are fewer than two groups.
    """

    def __init__(
        self,
        groups: Int64[np.ndarray, " n"],
        *,
        groups_per_batch: int,
        images_per_group: int,
        seed: int,
        kind: str = "classes",
    ) -> None:
        self._rows = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[self._rows])) + 1
        self._bounds = np.concatenate([[0], starts, [len(groups)]])
        self._count = len(self._bounds) - 1
        if self._count < 2:
            need = "images of at least two classes" if kind == "classes" else "at least two images"
            raise InputError(f"training needs {need}, got {min(self._count, len(groups))}")
        self._groups, self._images = min(groups_per_batch, self._count), images_per_group
        self._seed, self._kind = seed, kind
        # A batch takes groups from two rounds at most, since it never holds more than all groups.
        self._order = lru_cache(2)(self._shuffled)

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self._groups * self._images

    def shares(self, ranks: int) -> list[slice]:
        """Return each rank's part of every batch: whole groups, as evenly as they divide.

        Raises:
            InputError: When there are more ranks than groups in a batch.
        """
        if ranks > self._groups:
            raise InputError(
                f"{ranks} processes share batches of {self._groups} {self._kind}: each needs at least one; start "
                f"fewer, or raise {'classes_per_batch' if self._kind == 'classes' else 'batch'}"
            )
        limits = [rank * self._groups // ranks * self._images for rank in range(ranks + 1)]
        return [slice(first, last) for first, last in pairwise(limits)]

    def batch(self, step: int) -> Int64[np.ndarray, " b"]:
        """Return the rows of the images of one step."""
        generator = np.random.default_rng([self._seed, 1, step])
        slots = np.arange(step * self._groups, (step + 1) * self._groups)
        rounds, places = np.divmod(slots, self._count)
        turn, last = int(rounds[0]), int(rounds[-1])
        first = self._order(turn)[places[rounds == turn]]
        groups = first if turn == last else np.concatenate([first, self._order(last)[places[rounds == last]]])
        starts, stops = self._bounds[groups], self._bounds[groups + 1]
        if self._images == 1 and (stops - starts == 1).all():
            return self._rows[starts]  # as drawing one of one would
        bounds = zip(starts.tolist(), stops.tolist(), strict=True)
        return np.concatenate([self._draw(self._rows[start:stop], generator) for start, stop in bounds])

    def _shuffled(self, turn: int) -> Int64[np.ndarray, " k"]:
        return np.random.default_rng([self._seed, 0, turn]).permutation(self._count)

    def _draw(self, rows: Int64[np.ndarray, " k"], generator: np.random.Generator) -> Int64[np.ndarray, " m"]:
        if len(rows) >= self._images:
            return generator.permutation(rows)[: self._images]
        repeats = -(-self._images // len(rows))
        return np.concatenate([generator.permutation(rows) for _ in range(repeats)])[: self._images]


def sampler_of(
    config: TrainingConfig,
    labels: Int64[np.ndarray, " n"],
    sources: Int64[np.ndarray, " n"],
    *,
    by_class: bool,
    seed: int,
) -> GroupSampler:
    """Return the sampler that draws a training's batches.

    Args:
        config: Sampling and batch size.
        labels: Classes of the training images.
        sources: The row of which each image is a changed copy, or its own.
        by_class: True if ``sampling = "auto"`` draws classes: see :func:`hetero.objectives.catalog.compares_classes`.
        seed: Fixes every batch.

    Raises:
        InputError: When there are too few classes or images.
    """
    if config.sampling == "classes" or (config.sampling == "auto" and by_class):
        images = config.images_per_class
        count = max(2, config.batch // images) if config.batch else config.classes_per_batch
        return GroupSampler(labels, groups_per_batch=count, images_per_group=images, seed=seed)
    count = config.batch or config.classes_per_batch * config.images_per_class
    return GroupSampler(sources, groups_per_batch=count, images_per_group=1, seed=seed, kind="images")
