"""An explanation as one page of HTML, with its pictures inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hetero.data.images import Dataset, ImageSet
from hetero.display.pages import data_uri, templates
from hetero.linear.explanation.explain import Explanation, Flip


def page(explanation: Explanation, new: Dataset, old: Dataset, *, name: str) -> str:
    """Render the page.

    Args:
        explanation: The explanation to show.
        new: Holds the training photos, and queries.
        old: Holds queries, and the gallery's images that have the same names; others are shown by name alone.
        name: Name of the adapted model.
    """
    queries = {"new queries": _pictures(new.test), "old queries": _pictures(old.test)}

    def query(flip: Flip) -> str:
        return queries[flip.domain](flip.name)

    return (
        templates("hetero.linear.explanation")
        .get_template("explanation.html.j2")
        .render(
            explanation=explanation,
            name=name,
            training_photo=_pictures(new.train),
            gallery_photo=_pictures(old.train, old.validation, old.test),
            query_photo=query,
        )
    )


def _pictures(*sets: ImageSet) -> Callable[[str], str]:
    """Return a function from a name to its picture, or to an empty string when no set has it."""
    places = {name: (images, row) for images in sets for row, name in enumerate(images.names)}

    def picture(name: str) -> str:
        if name not in places:
            return ""
        images, row = places[name]
        return data_uri(images.images[np.array([row])][0])

    return picture
