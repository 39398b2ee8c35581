"""Objectives that a recipe names by import string: ``module:function``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.declaration import CATALOG, Declaration
from hetero.objectives.signatures import options_of
from hetero.own_code import imported


def own_entry(path: str) -> Declaration:
    """Return the entry of a declared objective, or of a function of a batch or an ``nn.Module`` without declaration.

    Without declaration the parameters are the options (of a function, all but the first), and the attribute ``needs``
    names the inputs; where there is none, the objective may learn from labels.

    Raises:
        InputError: When code is not allowed, there is nothing of this name, or it cannot be an objective.
    """
    target = _load(path)
    home = f"{target.__module__}:{target.__qualname__}"
    for entry in CATALOG.values():
        if isinstance(entry, Declaration) and entry.home == home:
            return entry
    filled = [] if _is_module(target) else list(inspect.signature(target).parameters)[:1]
    options = options_of(path, target, given=filled)
    return Declaration("hetero.objectives.own:own", "of your own", options, _needs(target), fixed={"path": path})


def own(path: str, **options: Any) -> nn.Module:
    """Make the objective that an import string names."""
    target = _load(path)
    return target(**options) if _is_module(target) else FunctionObjective(functools.partial(target, **options))


class FunctionObjective(nn.Module):
    """A function of a batch as an objective."""

    def __init__(self, function: functools.partial[Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the function's value."""
        return self.function(batch)


def _needs(target: Callable[..., Any]) -> frozenset[str]:
    """Return the inputs that a term names in ``needs``; ``needs_labels`` and ``uses_logits`` are earlier spellings."""
    needs = getattr(target, "needs", None)
    if needs is not None:
        return frozenset(needs)
    named = {"labels": getattr(target, "needs_labels", True), "own_head": getattr(target, "uses_logits", False)}
    return frozenset(name for name, needed in named.items() if needed)


def _is_module(target: Callable[..., Any]) -> bool:
    return isinstance(target, type) and issubclass(target, nn.Module)


def _load(path: str) -> Callable[..., Any]:
    target = imported(path, what="objective")
    if not callable(target):
        raise InputError(f"the objective {path!r} is not a function of a batch")
    return target
