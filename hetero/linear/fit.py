"""Fit a model to new images with old ones held, for several ridges; validation chooses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from hetero.data.images import Dataset, ImageSet
from hetero.lengths import lengths, scaled
from hetero.linear.config import AdaptConfig
from hetero.linear.gallery import OldGallery
from hetero.linear.parts import Divided
from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Solution, solve, solve_ridges
from hetero.metrics.flips import RANK_ONE, retrieval_flips
from hetero.metrics.retrieval import TaskResult


@dataclass(frozen=True)
class Fit:
    """A solved adaptation.

    Attributes:
        model: The upper part around its weights.
        solution: For the ridge chosen.
        ridge: That ridge.
    """

    model: Linearised
    solution: Solution
    ridge: float

    @property
    def moved(self) -> float:
        """How far the weights move: |d| / |w|."""
        return float(self.solution.change.norm() / self.model.joined(self.model.weights).norm())


def fit(
    divided: Divided,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    config: AdaptConfig,
    held: AnchorFactors | None = None,
) -> Fit:
    """Solve for each ridge, all by the same steps, and on for the one that validation chooses.

    Chosen is the one whose model, as it would be written, finds most in the old gallery (mean over both domains of
    ``map@r``), among those that lose as little as is allowed, if there are any.

    Args:
        divided: The model.
        new: Training images move to the gallery's vectors.
        old: Training images are the anchors.
        gallery: Gives targets, and is searched.
        config: Ridges, steps, the anchors' weight, and what may be lost.
        held: Stands in for the anchors.

    Raises:
        InputError: When a new image has no target, or there is nothing to search for.
    """
    targets = torch.from_numpy(gallery.targets(new.train))
    model = Linearised(divided.upper)
    inputs = divided.inputs(new.train.images, progress="new images")
    shown = config.anchor_weight and held is None
    anchors = divided.inputs(old.train.images, progress="anchors") if shown else None
    asked = Validation.of(divided, new, old, gallery, config)
    problem = Problem(model, inputs, targets, max(config.ridges), anchors, config.anchor_weight, held)
    preconditioner = kronecker(problem, seed=config.seed)
    shared = config.steps if len(set(config.ridges)) == 1 else math.ceil(config.steps / 2)
    solutions = solve_ridges(problem, preconditioner, config.ridges, steps=shared, progress="all ridges")
    ridge = max(solutions, key=lambda one: asked.judged(model, solutions[one].change))
    solution = solutions[ridge]
    if (left := config.steps - shared) > 0:
        chosen, start = problem.with_ridge(ridge), solution.change
        further = solve(chosen, preconditioner(ridge), start=start, steps=left, progress=f"ridge {ridge:g}")
        solution = replace(further, objectives=(*solution.objectives, *further.objectives[1:]))
    return Fit(model, solution, ridge)


def linear_vectors(
    model: Linearised, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]
) -> Float32[NDArray[np.float32], "n d"]:
    """Unit vectors of the linear model."""
    vectors = model(inputs, change).numpy()
    return scaled(vectors, lengths(vectors))


@dataclass(frozen=True)
class _Queries:
    """Validation images, computed once up to the part that changes."""

    images: ImageSet
    gallery: OldGallery
    inputs: Tensor
    rows: NDArray[np.int64]
    own: bool

    @classmethod
    def of(cls, divided: Divided, images: ImageSet, gallery: OldGallery, *, own: bool) -> _Queries:
        rows = gallery.answerable(images, own=own)
        return cls(images, gallery, divided.inputs(images.images, progress="validation images"), rows, own)

    def found(self, vectors: NDArray[np.float32]) -> TaskResult:
        return self.gallery.search(self.images, vectors, self.rows, own=self.own)


@dataclass(frozen=True)
class Validation:
    """What chooses between changes: validation images of both domains, searched for in the old gallery."""

    new: _Queries
    old: _Queries
    config: AdaptConfig

    @classmethod
    def of(cls, divided: Divided, new: Dataset, old: Dataset, gallery: OldGallery, config: AdaptConfig) -> Validation:
        """Compute what the validation images are up to the part that changes.

        Raises:
            InputError: When there is nothing to search for.
        """
        sides = ((new, False), (old, True))
        return cls(*(_Queries.of(divided, data.validation, gallery, own=own) for data, own in sides), config=config)

    def judged(self, model: Linearised, change: Float[Tensor, " p"]) -> tuple[bool, float]:
        """Whether a change loses as little as is allowed, and what is found with it.

        Args:
            model: Of the part that changes.
            change: [p], of its weights.

        Returns:
            True if the network with the change finds nearly what the linear model finds, and old queries stay right;
            and the mean over both domains of ``map@r``.
        """
        new, old = (one.found(model.changed(one.inputs, change).numpy()) for one in (self.new, self.old))
        linear = self.new.found(linear_vectors(model, self.new.inputs, change))
        before = self.old.found(model.origin(self.old.inputs).numpy())
        lost = linear.mean(RANK_ONE) - new.mean(RANK_ONE)
        allowed = lost <= self.config.most_lost and retrieval_flips(before, old).nfr <= self.config.most_flips
        return allowed, (new.mean("map@r") + old.mean("map@r")) / 2
