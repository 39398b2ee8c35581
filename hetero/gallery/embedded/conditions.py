"""Which vectors of the tables a search may return, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Choices = Mapping[str, Sequence[str]]
ALL_KEYS = 2**63 - 1


@dataclass(frozen=True)
class Side:
    """The vectors of a space, or of a gallery on its way to another space those that are not replaced yet.

    Attributes:
        space: Number of the space.
        newer: Number of the other space, whose items are left out; None to leave out none.
        until: Vectors of the other space with larger keys leave out nothing: the index that is searched beside this
            side does not hold them yet.
    """

    space: int
    newer: int | None = None
    until: int = ALL_KEYS


def conditions_of(side: Side, tenant: str, where: Choices) -> tuple[str, list[Any]]:
    """Return the conditions on items and vectors, and their values.

    Args:
        side: The vectors to choose from.
        tenant: The tenant that items belong to.
        where: Attribute -> values of which an item must have one.
    """
    conditions, values = ["vectors.space = ?", "tenant = ?"], [side.space, tenant]
    if side.newer is not None:
        conditions.append(
            "NOT EXISTS (SELECT 1 FROM vectors AS newer WHERE newer.item = items.item AND newer.space = ? "
            "AND newer.key <= ?)"
        )
        values += [side.newer, side.until]
    for name, choices in where.items():
        conditions.append(
            "EXISTS (SELECT 1 FROM attributes AS own WHERE own.item = items.item AND own.name = ? "
            f"AND own.value IN ({marks(choices)}))"
        )
        values += [name, *choices]
    return " AND ".join(conditions), values


def marks(values: Sequence[Any]) -> str:
    """Return a place for each value of a list."""
    return ", ".join("?" * len(values))
