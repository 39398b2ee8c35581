"""What an import string names: the one place where a name in a record becomes code, when it is first needed.

Only for names that this project or an installed package declares; what a user's file names goes through
:mod:`hetero.own_code`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def named(path: str) -> Any:
    """Import what ``module:name``, or ``module`` alone, names.

    Raises:
        ImportError: When there is no such module.
        AttributeError: When the module has nothing of the name.
    """
    module, _, name = path.partition(":")
    loaded = import_module(module)
    return getattr(loaded, name) if name else loaded
