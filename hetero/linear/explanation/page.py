"""An explanation as one page of HTML, with its pictures inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hetero.data.images import Dataset, ImageSet
from hetero.display.pages import data_uri, templates
from hetero.linear.explanation.explain import Explanation, Flip


def page(seen: Explanation, new: Dataset, old: Dataset, *, name: str) -> str:
    """Write the page.

    Args:
        seen: What to show.
        new: Has the photos that were learnt from, and queries.
        old: Has queries, and the gallery's images as far as they have its names; others are shown by name alone.
        name: Of the adapted model.
    """
    asked = {"new queries": _pictures(new.test), "old queries": _pictures(old.test)}

    def query(flip: Flip) -> str:
        return asked[flip.domain](flip.name)

    return (
        templates("hetero.linear.explanation")
        .get_template("explanation.html.j2")
        .render(
            seen=seen,
            name=name,
            learnt=_pictures(new.train),
            held=_pictures(old.train, old.validation, old.test),
            asked=query,
        )
    )


def _pictures(*sets: ImageSet) -> Callable[[str], str]:
    """A name to its picture; to nothing when no set has it."""
    places = {name: (images, row) for images in sets for row, name in enumerate(images.names)}

    def picture(name: str) -> str:
        if name not in places:
            return ""
        images, row = places[name]
        return data_uri(images.images[np.array([row])][0])

    return picture
