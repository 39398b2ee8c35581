"""Reads the inputs of a backfill plan, and refuses vectors that may not be mixed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hetero.data.embeddings.file import Embeddings, embeddings_of, load_embeddings
from hetero.data.embeddings.labels import labels_by_name
from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.truncate import as_earlier, truncated
from hetero.metrics.backfill import Backfill
from hetero.space import EmbeddingSpace
from hetero.upgrade.backfill.plan import Compatibility


@dataclass(frozen=True)
class Inputs:
    """A backfill, with the names and spaces of its vectors.

    Attributes:
        backfill: Queries and gallery.
        names: Names of the gallery images, in the order of its rows.
        old: The old vectors' space.
        new: The new vectors' space.
        compatibility: The evidence that the two may be mixed.
    """

    backfill: Backfill
    names: tuple[str, ...]
    old: EmbeddingSpace
    new: EmbeddingSpace
    compatibility: Compatibility


def read_inputs(old: Path, new: Path, queries: Path, labels: Path | None, *, assume_compatible: bool = False) -> Inputs:
    """Read the embeddings of a gallery by an old and by a new model, and of queries by the new model.

    A query that is itself in the gallery does not find itself.

    Args:
        old: Embeddings of the gallery; its images are the gallery.
        new: Embeddings of the same images; further ones are ignored.
        queries: Embeddings of the queries.
        labels: See :func:`hetero.data.embeddings.labels.labels_by_name`.
        assume_compatible: True to mix the spaces although their compatibility was not measured, and to take the
            queries for the new model's although their file does not say so.

    Raises:
        InputError: When files do not fit together, or are empty.
        SpaceMismatchError: When queries and new gallery are of different spaces, or the new space's contract does
            not name the old one.
    """
    before, after, searches = (load_embeddings(path) for path in (old, new, queries))
    if not before.names or not searches.names:
        raise InputError(f"expected a gallery and queries, got {len(before.names)} and {len(searches.names)} images")
    compatibility = _compatibility(before, after, searches, assume_compatible)
    try:
        renewed = embeddings_of(after, before.names)
    except InputError as error:
        raise InputError(f"{new} must hold the gallery of {old}: {error}") from None
    query = embeddings_of(searches, searches.names)
    classes = labels_by_name(labels, [*before.names, *searches.names])
    row = {name: index for index, name in enumerate(before.names)}
    backfill = Backfill(
        query=query,
        new=renewed,
        old=embeddings_of(before, before.names),
        query_labels=classes[len(before.names) :],
        gallery_labels=classes[: len(before.names)],
        exclude=np.array([row.get(name, -1) for name in searches.names], np.int64),
        query_as_old=None if before.space.dimension == query.shape[1] else truncated(query, before.space.dimension),
    )
    return Inputs(backfill, before.names, before.space, after.space, compatibility)


def _compatibility(old: Embeddings, new: Embeddings, queries: Embeddings, assume: bool) -> Compatibility:
    if queries.space.dimension != new.space.dimension:
        raise SpaceMismatchError(
            f"the queries have {queries.space.dimension} dimensions and the gallery's new embeddings "
            f"{new.space.dimension}: they cannot be of one model"
        )
    try:
        new.space.require_same(queries.space, this="the gallery's new embeddings", that="the queries")
        as_earlier(np.empty((0, new.space.dimension), np.float32), new.space, old.space)
    except SpaceMismatchError as error:
        if not assume:
            raise SpaceMismatchError(f"{error}. --assume-compatible mixes them at your own risk.") from None
        return "assumed"
    return "same space" if new.space.space_id == old.space.space_id else "measured"
