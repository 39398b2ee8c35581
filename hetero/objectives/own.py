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
from hetero.objectives.declaration import CATALOG, Entry
from hetero.objectives.signatures import options_of
from hetero.own_code import imported


def own_entry(path: str) -> Entry:
    """The entry of what declares itself, or of a function of a batch or an ``nn.Module`` that does not.

    Of these the parameters are the options (of a function, all but the first). They need what their attribute ``needs``
    names; one that says nothing may learn from labels.

    Raises:
        InputError: When code is not allowed, there is nothing of this name, or it cannot be an objective.
    """
    target = _load(path)
    home = f"{target.__module__}:{target.__qualname__}"
    for entry in CATALOG.values():
        if isinstance(entry, Entry) and entry.home == home:
            return entry
    given = [] if _is_module(target) else list(inspect.signature(target).parameters)[:1]
    needs = frozenset[str](getattr(target, "needs", {"labels"}))
    options = options_of(path, target, given=given)
    return Entry("hetero.objectives.own:own", "of your own", options, needs, fixed={"path": path})


def own(path: str, **options: Any) -> nn.Module:
    """Make the objective."""
    target = _load(path)
    return target(**options) if _is_module(target) else FunctionObjective(functools.partial(target, **options))


class FunctionObjective(nn.Module):
    """A function of a batch as an objective."""

    def __init__(self, function: functools.partial[Tensor]) -> None:
        super().__init__()
        self.function = function

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
