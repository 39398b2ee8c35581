"""The photos of an adaptation that turned right queries wrong, and those that look wrongly labelled themselves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from hetero.data.images import Dataset
from hetero.linear.deletion.deletion import Method
from hetero.linear.explanation.influence import margin_gradient
from hetero.linear.explanation.queries import Queries, rows_named
from hetero.linear.explanation.scores import HIGH_LEVERAGE, Scores
from hetero.linear.gallery import OldGallery, classes_of
from hetero.linear.restored import Restored
from hetero.linear.solver.dual import fits
from hetero.linear.solver.solve import solve
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
    rows = [None] * len(tests) if flips is None else rows_named(tests, flips)
    problem = again.problem
    change = again.present()
    if change is None:
        # A refused adaptation, whose weights were not written; the result is nearly the same.
        change = solve(problem, again.precondition, steps=again.learnt.config.steps).change
    queries = [Queries.of(again, test, change, named) for test, named in zip(tests, rows, strict=True) if named != []]
    scores = Scores.of(
        problem, change, None if fits(problem) else again.precondition, steps=steps, seed=again.learnt.config.seed
    )
    all_flips = [(group, place) for group in queries for place in range(len(group.rows))]
    gradients = [_gradient(again, group, place, gallery) for group, place in all_flips]
    singly = [scores.influences(gradient) for gradient in gradients[:most]]
    return Explanation(
        method=scores.method,
        leverage=scores.leverage,
        found=len(all_flips),
        flips=tuple(
            _flip(group, place, gallery, _worst(again, own, causes))
            for (group, place), own in zip(all_flips, singly, strict=False)
        ),
        causes=_worst(again, _together(scores, gradients, singly), causes) if all_flips else (),
        suspects=_worst(again, scores.residuals, causes),
    )


def _gradient(again: Restored, queries: Queries, place: int, gallery: OldGallery) -> Tensor:
    """Return the gradient of the margin between the best hit of the query's class before and of any other now."""
    group = classes_of(queries.test.images)[queries.rows[place]]
    before, after = (queries.hits(place, vectors, gallery) for vectors in (queries.before, queries.after))
    right = next(hit for hit, _ in before if gallery.classes[hit] == group)
    wrong = next(hit for hit, _ in after if gallery.classes[hit] != group)
    vectors = [torch.from_numpy(gallery.vectors[hit]) for hit in (right, wrong)]
    return margin_gradient(again.problem.model, queries.inputs[place : place + 1], *vectors)


def _together(scores: Scores, gradients: Sequence[Tensor], singly: Sequence[Tensor]) -> Tensor:
    """Return the influences on the sum of all margins, which are linear: they add up where each has been solved."""
    if len(singly) == len(gradients):
        return torch.stack(list(singly)).sum(dim=0)
    return scores.influences(torch.stack(list(gradients)).sum(dim=0))


def _flip(queries: Queries, place: int, gallery: OldGallery, causes: tuple[Photo, ...]) -> Flip:
    before, after = (
        tuple(
            Hit(gallery.names[hit], gallery.classes[hit], similarity)
            for hit, similarity in islice(queries.hits(place, vectors, gallery), HITS)
        )
        for vectors in (queries.before, queries.after)
    )
    images, row = queries.test.images, queries.rows[place]
    return Flip(queries.test.what, images.names[row], classes_of(images)[row], before, after, causes)


def _worst(again: Restored, scores: Tensor, count: int) -> tuple[Photo, ...]:
    groups = classes_of(again.photos)
    order: Sequence[int] = scores.argsort(descending=True)[:count].tolist()
    # A photo that did no harm is not a cause.
    return tuple(
        Photo(again.photos.names[int(row)], groups[row], float(scores[row])) for row in order if scores[row] > 0
    )
