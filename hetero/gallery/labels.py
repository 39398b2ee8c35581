"""Attributes as labels, for databases that look for one text in a list of texts."""

from __future__ import annotations

import json
from collections.abc import Iterable


def label(name: str, value: str) -> str:
    """Return the text of an attribute with its value; no other pair has it."""
    return json.dumps([name, value], ensure_ascii=False)


def attributes_of(labels: Iterable[str]) -> dict[str, str]:
    """Return the attributes with their values, of which these are the texts."""
    return dict(json.loads(one) for one in labels)
