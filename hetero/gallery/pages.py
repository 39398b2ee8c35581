"""Rows of a database as pages, each of one tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from hetero.gallery.store import Page
from hetero.lengths import unit

ROWS = 4096
"""Rows of a gallery that are in memory at a time while it is read."""


def pages_of(
    names: Sequence[tuple[str, str]], vectors: Float[np.ndarray, "n d"], attributes: Sequence[Mapping[str, str]]
) -> Iterator[Page]:
    """Yield items as a page a tenant, each tenant's in their order here.

    Args:
        names: Tenant and id of each item.
        vectors: Floating point [n, d], as they are stored.
        attributes: For each item what searches may ask for.

    Raises:
        IntegrityError: When a vector is not finite, or zero.
    """
    rows_of: dict[str, list[int]] = {}
    for row, (tenant, _) in enumerate(names):
        rows_of.setdefault(tenant, []).append(row)
    of_length_one = unit(vectors, what="the gallery's items")
    for tenant, rows in rows_of.items():
        ids, described = [names[row][1] for row in rows], [dict(attributes[row]) for row in rows]
        yield Page(tenant, ids, of_length_one[rows], described)
