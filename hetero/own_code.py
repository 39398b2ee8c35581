"""Code that a recipe, a search space or a model directory names by import string: imported only once that is allowed.

What such a file names runs with all rights of whoever reads it, so a file of somebody else's must not be able to do it.
"""

from __future__ import annotations

import os
from typing import Any

from hetero.errors import InputError
from hetero.named import named

VARIABLE = "HETERO_ALLOW_CODE"
"""An environment variable, so that the processes that a command starts have the permission too."""


def allow_code() -> None:
    """Let recipes, search spaces and model directories name code of their own, from now on in this process.

    Such a file is a program: allow it for files that you would run.
    """
    os.environ[VARIABLE] = "1"


def code_is_allowed() -> bool:
    """Whether code may be imported."""
    return os.environ.get(VARIABLE) == "1"


def imported(path: str, *, what: str) -> Any:
    """What an import string names.

    Args:
        path: ``module:name``.
        what: Says in messages what it is to be.

    Raises:
        InputError: When code is not allowed, or there is nothing of this name.
    """
    if not code_is_allowed():
        raise InputError(
            f"the {what} {path!r} is code of its own, which would run here with all your rights; if you trust where it "
            "comes from, give --allow-code (in Python, call hetero.allow_code())"
        )
    module, _, name = path.partition(":")
    try:
        return getattr(named(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"unknown {what} {path!r}: {error}; expected module:name, the module where Python finds it "
            "(the current folder, for one, with PYTHONPATH=.)"
        ) from error
