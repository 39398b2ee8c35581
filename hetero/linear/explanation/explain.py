"""The photos of an adaptation that turned right queries wrong, and those that look wrongly labelled themselves."""

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
    """A training photo of the adaptation.

    Attributes:
        name: Its name.
        group: Its class.
        score: For a cause, the growth of a query's margin had the photo never been there; for a suspect, the distance
            of its output from its target.
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
        similarity: Cosine to the query.
    """

    name: str
    group: str
    similarity: float


@record
class Flip:
    """A query that was right before and is wrong now.

    Attributes:
        domain: ``new queries`` or ``old queries``.
        name: Name of the test image.
        group: Its class.
        before: Its hits before, the nearest first.
        after: Its hits now, the nearest first.
        causes: The photos that caused the flip, the worst first.
    """

    domain: str
    name: str
    group: str
    before: tuple[Hit, ...]
    after: tuple[Hit, ...]
    causes: tuple[Photo, ...]


@record
class Explanation:
    """The effect of an adaptation's photos on test queries.

    Attributes:
        method: With ``dual`` scores are exact, with ``conjugate gradients`` of first order.
        leverage: Share of its own output that a photo decides, on average.
        found: Number of negative flips among the test images.
        flips: The first of them.
        causes: The photos that did most harm to all flips together.
        suspects: The photos whose outputs are farthest from their targets: their labels may be wrong.
    """

    method: Method
    leverage: float
    found: int
    flips: tuple[Flip, ...]
    causes: tuple[Photo, ...]
    suspects: tuple[Photo, ...]

    @property
    def warning(self) -> str:
        """Reason that the causes are only a hint; empty when they are exact, or nearly."""
        if self.method == "dual" or self.leverage <= HIGH_LEVERAGE:
            return ""
        return (
            f"photos decide {self.leverage:.2f} of their own answers on average, more than {HIGH_LEVERAGE}: to first "
            "order, which this is, causes may be in the wrong order; a larger ridge, or more photos, lower it"
        )


@dataclass(frozen=True)
class _Queries:
    """Test images before and after, and the rows that flipped."""

    test: Test
    inputs: Tensor
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    rows: list[int]

    @classmethod
    def of(cls, again: Restored, test: Test, change: Tensor, rows: list[int] | None) -> _Queries:
        inputs = again.parts.inputs(test.images.images, progress=test.what)
        model = again.problem.model
        before, after = (model.changed(inputs, shift).float().numpy() for shift in (None, change))
        right_before, right_after = rank_one_decisions(test.answered(before), test.answered(after))
        flips: list[int] = test.rows[right_before & ~right_after].tolist()
        return cls(test, inputs, before, after, flips if rows is None else rows)


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
    anchor_factors: Path | None = None,
) -> Explanation:
    """Score the photos that a model was adapted to by their effect on test queries.

    Args:
        directory: Directory that the adaptation wrote, refused or not.
        model: The model before it was adapted.
        new: As for the adaptation.
        old: As for the adaptation.
        gallery: As for the adaptation.
        flips: Names of the test images to explain, of the old domain or else of the new one, as
            :func:`hetero.evaluation.decisions.negative_flips` returns them; None for those that were right before in
            this gallery and are wrong now.
        most: Most flips to explain, those of the old domain first; each takes a solve.
        causes: Number of photos to name for each.
        steps: Most steps of conjugate gradients for each solve.
        anchor_factors: As for the adaptation.

    Raises:
        InputError: When the record is missing, an input has changed, or a flip names no test image.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    again = Restored.of(directory, model, new, old, gallery, anchor_factors=anchor_factors)
    tests = again.tests[::-1]
    rows = [None] * len(tests) if flips is None else _rows_named(tests, flips)
    change = again.present()
    if change is None:
        change = _solved(again)
    queries = [_Queries.of(again, test, change, named) for test, named in zip(tests, rows, strict=True)]
    scores = Scores.of(again.problem, change, steps=steps, seed=again.learnt.config.seed)
    all_flips = [(group, row) for group in queries for row in group.rows]
    gradients = [_gradient(again, group, row, gallery) for group, row in all_flips]
    singly = [scores.influences(gradient) for gradient in gradients[:most]]
    return Explanation(
        method=scores.method,
        leverage=scores.leverage,
        found=len(all_flips),
        flips=tuple(
            _flip(group, row, gallery, _worst(again, own, causes))
            for (group, row), own in zip(all_flips, singly, strict=False)
        ),
        causes=_worst(again, _together(scores, gradients, singly), causes) if all_flips else (),
        suspects=_worst(again, scores.residuals, causes),
    )


def _rows_named(tests: Sequence[Test], names: Sequence[str]) -> list[list[int]]:
    """Return the rows of the named queries, a list for each test; a name in several tests belongs to the first."""
    places = [{test.images.names[int(row)]: int(row) for row in test.rows.tolist()} for test in tests]
    owners = {name: index for index in reversed(range(len(places))) for name in places[index]}
    if unknown := [name for name in names if name not in owners]:
        raise InputError(
            f"{len(unknown)} of {len(names)} flips are of no test photo of the old domain or the new one that has "
            "something to find in the gallery:",
            missing_names(unknown, owners),
        )
    return [[place[name] for name in names if owners[name] == index] for index, place in enumerate(places)]


def _solved(again: Restored) -> Tensor:
    """Solve a refused adaptation again, whose weights were not written; the result is nearly the same."""
    problem, config = again.problem, again.learnt.config
    return solve(problem, kronecker(problem, seed=config.seed)(problem.ridge), steps=config.steps).change


def _gradient(again: Restored, queries: _Queries, row: int, gallery: OldGallery) -> Tensor:
    """Return the gradient of the margin between the best hit of the query's class before and of any other now."""
    group = classes_of(queries.test.images)[row]
    right = next(place for place, _ in _hits(queries, row, queries.before, gallery) if gallery.classes[place] == group)
    wrong = next(place for place, _ in _hits(queries, row, queries.after, gallery) if gallery.classes[place] != group)
    vectors = [torch.from_numpy(gallery.vectors[place]) for place in (right, wrong)]
    return margin_gradient(again.problem.model, queries.inputs[row : row + 1], *vectors)


def _together(scores: Scores, gradients: Sequence[Tensor], singly: Sequence[Tensor]) -> Tensor:
    """Return the influences on the sum of all margins, which are linear: they add up where each has been solved."""
    if len(singly) == len(gradients):
        return torch.stack(list(singly)).sum(dim=0)
    return scores.influences(torch.stack(list(gradients)).sum(dim=0))


def _flip(queries: _Queries, row: int, gallery: OldGallery, causes: tuple[Photo, ...]) -> Flip:
    before, after = (
        tuple(
            Hit(gallery.names[place], gallery.classes[place], similarity)
            for place, similarity in islice(_hits(queries, row, vectors, gallery), HITS)
        )
        for vectors in (queries.before, queries.after)
    )
    images = queries.test.images
    return Flip(queries.test.what, images.names[row], classes_of(images)[row], before, after, causes)


def _hits(
    queries: _Queries, row: int, vectors: Float32[np.ndarray, "n d"], gallery: OldGallery
) -> Iterator[tuple[int, float]]:
    """Yield rows of the gallery and their similarities, the nearest first; a photo does not find itself."""
    itself = queries.test.images.names[row] if queries.test.own else None
    similarity = gallery.vectors @ vectors[row]
    for place in np.argsort(-similarity, kind="stable").tolist():
        if gallery.names[place] != itself:
            yield place, float(similarity[place])


def _worst(again: Restored, scores: Tensor, count: int) -> tuple[Photo, ...]:
    groups = classes_of(again.photos)
    order: Sequence[int] = scores.argsort(descending=True)[:count].tolist()
    # A photo that did no harm is not a cause.
    return tuple(
        Photo(again.photos.names[int(row)], groups[row], float(scores[row])) for row in order if scores[row] > 0
    )
