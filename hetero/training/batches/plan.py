"""The picture that each image of a batch shows, and its random change: a pure function of seed and step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from hetero.data.augmentation.augment import random_numbers
from hetero.training.batches.mixup import Mixture
from hetero.training.batches.sampling import GroupSampler


@dataclass(frozen=True)
class Plan:
    """One batch, before any of its images is read.

    Attributes:
        rows: int64 [b], the training images.
        drawn: float32 [r, b], the random numbers by which each image is changed.
        fresh: int64 [m], rising places in the batch whose images the cloud model embeds now, as they are changed.
        known: int64 [b], number of the copy that each image shows, among those embedded so far; -1 for none of them.
        mixture: Partners and share of the batch's mixture; None mixes no images.
    """

    rows: Int64[np.ndarray, " b"]
    drawn: Float32[torch.Tensor, "r b"]
    fresh: Int64[np.ndarray, " m"]
    known: Int64[np.ndarray, " b"]
    mixture: Mixture | None = None


class Planner:
    """Plans batch after batch from the first step on, because earlier draws decide which copies can be shown again.

    The cloud model embeds a part of each batch live. Every other image is shown as one of the copies of its picture
    that were embedded in earlier steps, if there are any; so a picture gains copies as long as training lasts.

    Args:
        sampler: Draws the pictures.
        sources: int64 [n], the picture of each training image: the row of which it is a changed copy, or its own.
        share: Share of a batch that is embedded live; 1 shows no copy again, 0 embeds none.
        mixup: Parameter of the Beta distribution of the mixing shares; 0 mixes no images.
        seed: Fixes every plan.

    Attributes:
        fresh: Images of each batch that are embedded live.
        embeds_all: True if these are all of them.
    """

    def __init__(
        self, sampler: GroupSampler, sources: Int64[np.ndarray, " n"], *, share: float, mixup: float, seed: int
    ) -> None:
        self._sampler, self._sources, self._mixup, self._seed = sampler, sources, mixup, seed
        self.fresh = max(1, round(share * sampler.batch_size)) if share else 0
        self.embeds_all = self.fresh == sampler.batch_size
        self._replays = self.fresh > 0 and not self.embeds_all

    def plans(self, first: int, last: int) -> Iterator[Plan]:
        """Yield the plans of the steps from ``first`` (counted from 0) to before ``last``."""
        copies = _Copies(self._sources)
        if self._replays:
            for step in range(first):
                self._plan(step, copies)
        for step in range(first, last):
            yield self._plan(step, copies)

    def _plan(self, step: int, copies: _Copies) -> Plan:
        rows = self._sampler.batch(step)
        drawn = random_numbers(len(rows), torch.Generator().manual_seed(_generator_seed(self._seed, step + 1)))
        fresh, known = np.arange(self.fresh), np.full(len(rows), -1)
        if self._replays:
            generator = np.random.default_rng([self._seed, 3, step])
            places = generator.permutation(len(rows))
            fresh = np.sort(places[: self.fresh])
            copies.show(np.sort(places[self.fresh :]), rows, drawn, known, generator)
            copies.add(rows[fresh], drawn[:, fresh])
        mixture = None
        if self._mixup:
            mixture = Mixture.draw(len(rows), self._mixup, np.random.default_rng([self._seed, 4, step]))
        return Plan(rows, drawn, fresh, known, mixture)


class _Copies:
    """The copies embedded so far, grouped by the picture that they show."""

    def __init__(self, sources: Int64[np.ndarray, " n"]) -> None:
        self._sources = sources
        self._rows: list[int] = []
        self._drawn: list[Float32[torch.Tensor, " r"]] = []
        self._of: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, rows: Int64[np.ndarray, " m"], drawn: Float32[torch.Tensor, "r m"]) -> None:
        """Add copies, in the order in which their vectors are stored."""
        for row, numbers in zip(rows.tolist(), drawn.T.clone(), strict=True):
            self._of[int(self._sources[row])].append(len(self._rows))
            self._rows.append(row)
            self._drawn.append(numbers)

    def show(
        self,
        places: Int64[np.ndarray, " k"],
        rows: Int64[np.ndarray, " b"],
        drawn: Float32[torch.Tensor, "r b"],
        known: Int64[np.ndarray, " b"],
        generator: np.random.Generator,
    ) -> None:
        """Replace each image that has copies by one of them, each as likely as the others."""
        for place in places.tolist():
            if copies := self._of.get(int(self._sources[rows[place]])):
                known[place] = copies[int(generator.integers(len(copies)))]
                rows[place] = self._rows[known[place]]
                drawn[:, place] = self._drawn[known[place]]


def _generator_seed(seed: int, step: int) -> int:
    state = np.random.SeedSequence([seed, 2, step, 0]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))
