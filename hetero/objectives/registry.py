"""Build objectives from a recipe's terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from hetero.errors import InputError
from hetero.objectives.catalog import entry_of, expanded, problems_of
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.declaration import HEAD
from hetero.objectives.head import Head


def build_objectives(terms: Sequence[ObjectiveConfig], head: Head) -> list[tuple[ObjectiveConfig, nn.Module]]:
    """Make the objectives of one model; composites are replaced by their parts.

    Raises:
        InputError: With every problem of the terms, at once.
    """
    # Missing texts, or a missing student to be replaced, show with the first batch; recipes are checked for them.
    has_cloud = head.cloud_prototypes is not None
    if problems := problems_of(terms, has_cloud=has_cloud, has_texts=True, has_previous=True):
        raise InputError("these objectives cannot be built:", problems)
    return [(term, build_objective(term, head)) for term in expanded(terms)]


def build_objective(term: ObjectiveConfig, head: Head) -> nn.Module:
    """Make one objective.

    Raises:
        InputError: When the name is unknown.
    """
    entry = entry_of(term.name)
    arguments: dict[str, Any] = {key: entry.options[key].converted(value) for key, value in term.options.items()}
    return entry.make(**arguments, **({HEAD: head} if entry.takes_head else {}))
