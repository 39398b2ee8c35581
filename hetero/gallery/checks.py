"""Checks of what is handed to a gallery, before anything is written or searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hetero.data.names import is_text
from hetero.errors import InputError
from hetero.gallery.engine import Query
from hetero.gallery.store import Effort, Where
from hetero.space import EmbeddingSpace

UNIT_TOLERANCE = 1e-3
_LONGEST = 1024
"""Bytes of an id, a tenant or an attribute: databases index them."""


def vector_problems(vectors: NDArray[np.float32], space: EmbeddingSpace) -> list[str]:
    """Return what keeps vectors from being float32 [n, d] of a space."""
    dimension = space.dimension
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.dtype != np.float32:
        return [f"expected vectors as float32 [n, {dimension}], got {vectors.dtype} {list(vectors.shape)}"]
    if space.unit_norm and (np.abs(np.vecdot(vectors, vectors) ** 0.5 - 1) <= UNIT_TOLERANCE).all():
        return []  # nor is one of them infinite, or no number: then its length is neither
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        return [f"{int((~finite).sum())} vectors are not finite, the first is row {int(np.argmin(finite))}"]
    if space.unit_norm:
        off = np.abs(np.linalg.norm(vectors, axis=1) - 1) > UNIT_TOLERANCE
        if off.any():
            row = int(np.argmax(off))
            length = float(np.linalg.norm(vectors[row]))
            return [
                f"{int(off.sum())} vectors are not of unit length, which this space asks for; "
                f"row {row} has length {length:.4g}: normalise them"
            ]
    return []


def require_unit_length(space: EmbeddingSpace) -> None:
    """Refuse a space whose vectors have other lengths: graphs of them find less, and float16 may not hold them."""
    if not space.unit_norm:
        raise InputError(
            f"a gallery store holds vectors of unit length, those of {space.name} {space.version} ({space.space_id}) "
            "are of any; define a space with unit_norm"
        )


def id_problems(ids: Sequence[str], count: int) -> list[str]:
    """Return what keeps ids from naming ``count`` items."""
    if isinstance(ids, str):
        return [f"expected a sequence of ids, got one text, {ids!a:.80}"]
    problems: list[str] = []
    if len(ids) != count:
        problems.append(f"expected one id a vector, got {len(ids)} ids for {count} vectors")
    if len(set(ids)) != len(ids):
        repeated = sorted({name for name in ids if ids.count(name) > 1}) if len(ids) < 1000 else []
        problems.append(f"ids are given twice{f', for instance {repeated[:3]}' if repeated else ''}")
    if broken := [name for name in ids if not name or not _is_word(name)]:
        problems.append(f"{len(broken)} ids cannot be stored, for instance {broken[0]!a:.80}: {_EXPECTED}")
    return problems


def tenant_problems(tenant: str) -> list[str]:
    """Return what keeps a text from naming a tenant."""
    return [] if _is_word(tenant) else [f"tenant {tenant!a:.80} cannot be stored: {_EXPECTED}"]


def attribute_problems(attributes: Sequence[Mapping[str, str]] | None, count: int) -> list[str]:
    """Return what keeps attributes from describing ``count`` items."""
    if attributes is None:
        return []
    if len(attributes) != count:
        return [f"expected attributes for each vector, got {len(attributes)} for {count} vectors"]
    words = {text for one in attributes for pair in one.items() for text in pair}
    broken = [text for text in words if not _is_word(text)]
    return [f"attributes: {broken[0]!a:.80} cannot be stored: {_EXPECTED}"] if broken else []


def checked_query(
    vectors: NDArray[np.float32], k: int, space: EmbeddingSpace, *, tenant: str, where: Where | None, effort: Effort
) -> Query:
    """Check a search; see :meth:`hetero.gallery.store.GalleryStore.search` for the arguments.

    Raises:
        InputError: With everything that is wrong.
    """
    problems = vector_problems(vectors, space) + tenant_problems(tenant)
    if k < 1:
        problems.append(f"k: expected at least 1, got {k}")
    if effort != "exact" and effort < 1:
        problems.append(f"effort: expected at least 1 or exact, got {effort}")
    values = {name: [value] if isinstance(value, str) else list(value) for name, value in (where or {}).items()}
    problems += [f"where: expected a value for {name!a}, got none" for name, some in values.items() if not some]
    pairs = [{name: one} for name, some in values.items() for one in some]
    problems += attribute_problems(pairs, len(pairs))
    if problems:
        raise InputError("cannot search the gallery:", problems)
    return Query(vectors, k, tenant, values, effort)


_EXPECTED = f"expected text of at most {_LONGEST} bytes in UTF-8, without NUL"


def _is_word(text: object) -> bool:
    return isinstance(text, str) and is_text(text) and "\0" not in text and len(text.encode()) <= _LONGEST
