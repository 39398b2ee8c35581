"""The test images that an explanation is of, with what they found before and find now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from hetero.data.embeddings.names import missing_names
from hetero.errors import InputError
from hetero.linear.gallery import OldGallery
from hetero.linear.outcome import Test
from hetero.linear.restored import Restored
from hetero.metrics.flips import rank_one_decisions


@dataclass(frozen=True)
class Queries:
    """Test images to explain, before and after.

    Attributes:
        test: The test that they are of.
        rows: Their rows in it.
        inputs: [n, ...], what the upper part of the model takes of them.
        before: float32 [n, d], their vectors before.
        after: float32 [n, d], their vectors now.
    """

    test: Test
    rows: list[int]
    inputs: Tensor
    before: NDArray[np.float32]
    after: NDArray[np.float32]

    @classmethod
    def of(cls, again: Restored, test: Test, change: Tensor, named: list[int] | None) -> Queries:
        """Embed the named images alone, or else all, to find those that were right before and are wrong now.

        Args:
            again: The adaptation.
            test: Its test.
            change: [p], the change of its weights.
            named: Rows of the images to explain; None for those that flipped.
        """
        model = again.problem.model
        images = test.images.images if named is None else test.images.images[np.array(named, np.int64)]
        inputs = again.parts.inputs(images, progress=test.what)
        before, after = (model.changed(inputs, shift).float().numpy() for shift in (None, change))
        if named is not None:
            return cls(test, named, inputs, before, after)
        right_before, right_after = rank_one_decisions(test.answered(before), test.answered(after))
        rows = test.rows[right_before & ~right_after]
        return cls(test, rows.tolist(), inputs[rows], before[rows], after[rows])

    def hits(self, place: int, vectors: Float32[np.ndarray, "n d"], gallery: OldGallery) -> Iterator[tuple[int, float]]:
        """Yield rows of the gallery and their similarities, the nearest first; a photo does not find itself.

        Args:
            place: Row of the image here.
            vectors: ``before`` or ``after``.
            gallery: The gallery.
        """
        itself = self.test.images.names[self.rows[place]] if self.test.own else None
        similarity = gallery.vectors @ vectors[place]
        for hit in np.argsort(-similarity, kind="stable").tolist():
            if gallery.names[hit] != itself:
                yield hit, float(similarity[hit])


def rows_named(tests: Sequence[Test], names: Sequence[str]) -> list[list[int]]:
    """Return the rows of the named queries, a list for each test; a name in several tests belongs to the first.

    Raises:
        InputError: When a name is of no test image.
    """
    places = [{test.images.names[int(row)]: int(row) for row in test.rows.tolist()} for test in tests]
    owners = {name: index for index in reversed(range(len(places))) for name in places[index]}
    if unknown := [name for name in names if name not in owners]:
        raise InputError(
            f"{len(unknown)} of {len(names)} flips are of no test photo of the old domain or the new one that has "
            "something to find in the gallery:",
            missing_names(unknown, owners),
        )
    return [[place[name] for name in names if owners[name] == index] for index, place in enumerate(places)]
