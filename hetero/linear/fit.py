"""Fit a model to new images with old ones held, for several ridges; validation chooses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from hetero.data.images import Dataset, ImageSet
from hetero.lengths import lengths, scaled
from hetero.linear.config import AdaptConfig
from hetero.linear.gallery import OldGallery
from hetero.linear.measure import exceeds
from hetero.linear.parts import Divided
from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Solution, solve, solve_ridges
from hetero.linear.stated import stated
from hetero.metrics.flips import RANK_ONE, retrieval_flips
from hetero.metrics.retrieval import TaskResult


@dataclass(frozen=True)
class Fit:
    """A solved adaptation.

    Attributes:
        problem: The problem with the chosen ridge.
        solution: Its solution.
    """

    problem: Problem
    solution: Solution

    @property
    def ridge(self) -> float:
        """The chosen ridge."""
        return self.problem.ridge

    @property
    def moved(self) -> float:
        """Relative size of the change of the weights: |d| / |w|."""
        model = self.problem.model
        return float(self.solution.change.norm() / model.joined(model.weights).norm())


def fit(
    divided: Divided,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    config: AdaptConfig,
    held: AnchorFactors | None = None,
) -> Fit:
    """Solve for all ridges by the same steps, and further for the one that validation chooses.

    Validation chooses the ridge whose model, as it would be written, finds most in the old gallery (mean over both
    domains of ``map@r``), among those that stay within the limits on loss, if there are any.

    Args:
        divided: The model.
        new: The new domain, whose training images move to the gallery's vectors.
        old: The old domain, whose training images are the anchors.
        gallery: Provides targets, and is searched.
        config: Ridges, steps, the anchors' weight, and limits on loss.
        held: Factors that replace the anchors.

    Raises:
        InputError: When a new image has no target, or there is nothing to search for.
    """
    problem = stated(divided, new.train, old.train, gallery, config, held)
    model = problem.model
    validation = Validation.of(divided, new, old, gallery, config)
    preconditioner = kronecker(problem, seed=config.seed)
    shared = config.steps if len(set(config.ridges)) == 1 else math.ceil(config.steps / 2)
    solutions = solve_ridges(problem, preconditioner, config.ridges, steps=shared, progress="all ridges")
    ridge = max(solutions, key=lambda option: validation.judged(model, solutions[option].change))
    solution = solutions[ridge]
    if (remaining := config.steps - shared) > 0:
        at_ridge, start = problem.with_ridge(ridge), solution.change
        further = solve(at_ridge, preconditioner(ridge), start=start, steps=remaining, progress=f"ridge {ridge:g}")
        solution = replace(further, objectives=(*solution.objectives, *further.objectives[1:]))
    # Replaced, so that what was computed for the steps is not kept.
    return Fit(replace(problem, ridge=ridge), solution)


def linear_vectors(
    model: Linearised, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]
) -> Float32[np.ndarray, "n d"]:
    """Return unit vectors of the linear model."""
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

    def result(self, vectors: NDArray[np.float32]) -> TaskResult:
        return self.gallery.search(self.images, vectors, self.rows, own=self.own)


@dataclass(frozen=True)
class Validation:
    """Chooses between changes by validation images of both domains, as queries in the old gallery.

    Attributes:
        new: Those of the new domain.
        old: Those of the old domain.
        config: Limits on the loss.
        before: Answers of the old ones before.
    """

    new: _Queries
    old: _Queries
    config: AdaptConfig
    before: TaskResult

    @classmethod
    def of(cls, divided: Divided, new: Dataset, old: Dataset, gallery: OldGallery, config: AdaptConfig) -> Validation:
        """Compute the inputs of the changing part for the validation images.

        Raises:
            InputError: When there is nothing to search for.
        """
        sides = ((new, False), (old, True))
        asked, kept = (_Queries.of(divided, data.validation, gallery, own=own) for data, own in sides)
        return cls(asked, kept, config, kept.result(Linearised(divided.upper).origin(kept.inputs).numpy()))

    def judged(self, model: Linearised, change: Float[Tensor, " p"]) -> tuple[bool, float]:
        """Judge a change by its loss and by its figure.

        Args:
            model: The part that changes.
            change: [p], change of its weights.

        Returns:
            True if the network with the change finds nearly as much as the linear model and old queries stay right, as
            far as the limits require; and the mean over both domains of ``map@r``.
        """
        new, old = (side.result(model.changed(side.inputs, change).numpy()) for side in (self.new, self.old))
        linear = self.new.result(linear_vectors(model, self.new.inputs, change))
        loss = linear.mean(RANK_ONE) - new.mean(RANK_ONE)
        flips = retrieval_flips(self.before, old).nfr
        is_allowed = not exceeds(loss, self.config.most_lost) and not exceeds(flips, self.config.most_flips)
        return is_allowed, (new.mean("map@r") + old.mean("map@r")) / 2
