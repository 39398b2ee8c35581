"""The original files of a bundle that a target decodes."""

from __future__ import annotations

from export.bundle.goldens import spread_rows
from export.bundle.reading import Bundle

_ORIGINALS = 24
"""Number of files that every target decodes itself; all of them serve to price other resizers."""


def original_rows(bundle: Bundle) -> list[int]:
    """Return the retrieval rows of the original files that a target decodes: queries, evenly spread."""
    queries = set(bundle.goldens.query_rows.tolist())
    rows = [row for row in bundle.originals if row in queries]
    return [rows[place] for place in spread_rows(len(rows), _ORIGINALS)] if rows else []
