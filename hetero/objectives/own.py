"""Objectives that a recipe names by import string: ``module:function``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.signatures import options_of
from hetero.options import Option
from hetero.own_code import imported


def own_options(path: str) -> Mapping[str, Option]:
    """The options of a function of a batch (all parameters but the first) or of an ``nn.Module`` (all parameters).

    Raises:
        InputError: When code is not allowed, there is nothing of this name, or it cannot be an objective.
    """
    target = _load(path)
    if _is_module(target):
        return options_of(path, target)
    first = next(iter(inspect.signature(target).parameters), "")
    return options_of(path, target, given=[first])


def own_needs_labels(path: str) -> bool:
    """Whether it learns from labels: its attribute ``needs_labels``; one that says nothing may.

    Raises:
        InputError: When code is not allowed, or there is nothing of this name.
    """
    return bool(getattr(_load(path), "needs_labels", True))


def own(path: str, **options: Any) -> nn.Module:
    """Make the objective."""
    target = _load(path)
    return target(**options) if _is_module(target) else FunctionObjective(functools.partial(target, **options))


class FunctionObjective(nn.Module):
    """A function of a batch as an objective.

    Attributes:
        uses_logits: Whether it asks for both classifiers' logits: the function's attribute of this name.
    """

    def __init__(self, function: functools.partial[Tensor]) -> None:
        super().__init__()
        self.function = function
        self.uses_logits = bool(getattr(function.func, "uses_logits", False))

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """The function's value."""
        return self.function(batch)


def _is_module(target: Callable[..., Any]) -> bool:
    return isinstance(target, type) and issubclass(target, nn.Module)


def _load(path: str) -> Callable[..., Any]:
    target = imported(path, what="objective")
    if not callable(target):
        raise InputError(f"the objective {path!r} is not a function of a batch")
    return target
