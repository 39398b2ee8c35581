"""A training computes with the threads of its configuration from its first line to its last.

Not its steps alone: ranges that are measured before them, and weights that are solved for after them, have last bits,
too. Whatever the process computed before or computes afterwards keeps its own number.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from hetero.processes.threads import torch_threads

P = ParamSpec("P")
R = TypeVar("R")


def in_own_threads(train: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that trains, whose argument ``config`` has a ``training`` with ``threads``."""
    signature = inspect.signature(train)

    @functools.wraps(train)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        config: Any = signature.bind(*args, **kwargs).arguments["config"]
        with torch_threads(config.training.threads):
            return train(*args, **kwargs)

    return wrapper
