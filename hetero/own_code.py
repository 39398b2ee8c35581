"""Code that a recipe, a search space or a model directory names by import string: imported only with permission.

Such code runs with all the rights of the person who reads the file, so a file from somebody else must not start it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hetero.errors import InputError
from hetero.files import sha256_file
from hetero.named import named

VARIABLE = "HETERO_ALLOW_CODE"
"""An environment variable, so that the processes that a command starts have the permission too."""


def allow_code() -> None:
    """Let recipes, search spaces and model directories name their own code, from now on in this process.

    Such a file is a program: allow this only for files that you would run.
    """
    os.environ[VARIABLE] = "1"


def code_is_allowed() -> bool:
    """Return True if code may be imported."""
    return os.environ.get(VARIABLE) == "1"


def imported(path: str, *, what: str) -> Any:
    """Import the object that an import string in a user's file names.

    Args:
        path: ``module:name``.
        what: Kind of the object in messages.

    Raises:
        InputError: When code is not allowed, or there is no such object.
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


def source_digest(path: str) -> str:
    """Return the SHA-256 of the file that an imported ``module:name`` was written in; empty if there is none."""
    file = getattr(sys.modules.get(path.partition(":")[0]), "__file__", None)
    return sha256_file(Path(file)) if file and Path(file).is_file() else ""
