"""Which photos of an adaptation made queries wrong that were right before, and which photos look wrong themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from hetero.data.embeddings.names import missing_names
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.linear.deletion.deletion import Method
from hetero.linear.explanation.influence import margin_gradient
from hetero.linear.explanation.scores import HIGH_LEVERAGE, Scores
from hetero.linear.gallery import OldGallery, classes_of
from hetero.linear.outcome import Test
from hetero.linear.restored import Restored
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.solve import solve
from hetero.metrics.flips import rank_one_decisions
from hetero.schema import record

HITS = 3


@record
class Photo:
    """A photo that was learnt from.

    Attributes:
        name: Its name.
        group: Its class.
        score: Of a cause, by how much a query's margin would grow had the photo never been there; of a suspect, how far
            its answer is from its target.
    """

    name: str
    group: str
    score: float


@record
class Hit:
    """A gallery image that a query finds.

    Attributes:
        name: Its name.
        group: Its class.
        similarity: Cosine.
    """

    name: str
    group: str
    similarity: float


@record
class Flip:
    """A query that was right before and is wrong now.

    Attributes:
        domain: ``new queries`` or ``old queries``.
        name: Of the test image.
        group: Its class.
        before: What it found, the nearest first.
        after: What it finds.
        causes: The photos that did it, the worst first.
    """

    domain: str
    name: str
    group: str
    before: tuple[Hit, ...]
    after: tuple[Hit, ...]
    causes: tuple[Photo, ...]


@record
class Explanation:
    """What an adaptation's photos did.

    Attributes:
        method: ``dual``: scores are exact; ``conjugate gradients``: of first order.
        leverage: How much of its own answer a photo decides, on average.
        found: Negative flips among the test images.
        flips: The first of them.
        causes: The photos that did most harm to all that were found, together.
        suspects: The photos whose answers are farthest from their targets: look whether their labels are right.
    """

    method: Method
    leverage: float
    found: int
    flips: tuple[Flip, ...]
    causes: tuple[Photo, ...]
    suspects: tuple[Photo, ...]

    @property
    def warning(self) -> str:
        """Why the causes are only a hint; empty when they are exact, or nearly."""
        if self.method == "dual" or self.leverage <= HIGH_LEVERAGE:
            return ""
        return (
            f"photos decide {self.leverage:.2f} of their own answers on average, more than {HIGH_LEVERAGE}: to first "
            "order, which this is, causes may be in the wrong order; a larger ridge, or more photos, lower it"
        )


@dataclass(frozen=True)
class _Asked:
    """Test images before and after, and which of them flipped."""

    test: Test
    inputs: Tensor
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    rows: list[int]

    @classmethod
    def of(cls, again: Restored, test: Test, change: Tensor, rows: list[int] | None) -> _Asked:
        inputs = again.parts.inputs(test.images.images, progress=test.what)
        model = again.problem.model
        before, after = (model.changed(inputs, one).float().numpy() for one in (None, change))
        right, still = rank_one_decisions(test.answered(before), test.answered(after))
        found: list[int] = test.rows[right & ~still].tolist()
        return cls(test, inputs, before, after, found if rows is None else rows)


def explain(
    directory: Path,
    model: Path,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    *,
    flips: Sequence[str] | None = None,
    most: int = 10,
    causes: int = 5,
    steps: int = 100,
) -> Explanation:
    """Score the photos that a model was adapted to by what they did to test queries.

    Args:
        directory: What the adaptation wrote, be it a refusal.
        model: The model before it was adapted.
        new: As for the adaptation.
        old: As for the adaptation.
        gallery: As for the adaptation.
        flips: Names of the test images to explain, of the old domain or else of the new one, as
            :func:`hetero.evaluation.decisions.negative_flips` tells them; None for those that are right before in this
            gallery and wrong now.
        most: Flips to explain, those of the old domain first; each takes a solve.
        causes: Photos to name for each.
        steps: At most, of conjugate gradients for each solve.

    Raises:
        InputError: When the record is missing, anything is not what it was, or a flip is of no test image.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    again = Restored.of(directory, model, new, old, gallery)
    tests = again.tests[::-1]
    rows = [None] * len(tests) if flips is None else _rows_named(tests, flips)
    change = again.present()
    if change is None:
        change = _solved(again)
    asked = [_Asked.of(again, test, change, some) for test, some in zip(tests, rows, strict=True)]
    scores = Scores.of(again.problem, change, steps=steps, seed=again.learnt.config.seed)
    found = [(one, row) for one in asked for row in one.rows]
    gradients = [_gradient(again, one, row, gallery) for one, row in found]
    return Explanation(
        method=scores.method,
        leverage=scores.leverage,
        found=len(found),
        flips=tuple(
            _flip(one, row, gallery, _worst(again, scores.influences(gradient), causes))
            for (one, row), gradient in list(zip(found, gradients, strict=True))[:most]
        ),
        causes=_worst(again, scores.influences(torch.stack(gradients).sum(dim=0)), causes) if found else (),
        suspects=_worst(again, scores.residuals, causes),
    )


def _rows_named(tests: Sequence[Test], names: Sequence[str]) -> list[list[int]]:
    """Rows of the queries of these names, a list for each test; a name that several have is the first one's."""
    places = [{test.images.names[row]: row for row in test.rows.tolist()} for test in tests]
    owners = {name: index for index in reversed(range(len(places))) for name in places[index]}
    if unknown := [name for name in names if name not in owners]:
        raise InputError(
            f"{len(unknown)} of {len(names)} flips are of no test photo of the old domain or the new one that has "
            "something to find in the gallery:",
            missing_names(unknown, owners),
        )
    return [[place[name] for name in names if owners[name] == index] for index, place in enumerate(places)]


def _solved(again: Restored) -> Tensor:
    """What a refused adaptation came to, or nearly so: no weights of it were written."""
    problem, config = again.problem, again.learnt.config
    return solve(problem, kronecker(problem, seed=config.seed)(problem.ridge), steps=config.steps).change


def _gradient(again: Restored, one: _Asked, row: int, gallery: OldGallery) -> Tensor:
    """Of the margin between the best image of the query's class before, and the best of any other now."""
    group = classes_of(one.test.images)[row]
    right = next(place for place, _ in _found(one, row, one.before, gallery) if gallery.classes[place] == group)
    wrong = next(place for place, _ in _found(one, row, one.after, gallery) if gallery.classes[place] != group)
    vectors = [torch.from_numpy(gallery.vectors[place]) for place in (right, wrong)]
    return margin_gradient(again.problem.model, one.inputs[row : row + 1], *vectors)


def _flip(one: _Asked, row: int, gallery: OldGallery, causes: tuple[Photo, ...]) -> Flip:
    before, after = (
        tuple(
            Hit(gallery.names[place], gallery.classes[place], similarity)
            for place, similarity in islice(_found(one, row, vectors, gallery), HITS)
        )
        for vectors in (one.before, one.after)
    )
    images = one.test.images
    return Flip(one.test.what, images.names[row], classes_of(images)[row], before, after, causes)


def _found(
    one: _Asked, row: int, vectors: Float32[NDArray[np.float32], "n d"], gallery: OldGallery
) -> Iterator[tuple[int, float]]:
    """Yield rows of the gallery and their similarities, the nearest first; a photo does not find itself."""
    itself = one.test.images.names[row] if one.test.own else None
    similarity = gallery.vectors @ vectors[row]
    for place in np.argsort(-similarity, kind="stable").tolist():
        if gallery.names[place] != itself:
            yield place, float(similarity[place])


def _worst(again: Restored, scores: Tensor, count: int) -> tuple[Photo, ...]:
    groups = classes_of(again.photos)
    order: Sequence[int] = scores.argsort(descending=True)[:count].tolist()
    # A photo that did no harm is no cause.
    return tuple(Photo(again.photos.names[row], groups[row], float(scores[row])) for row in order if scores[row] > 0)
