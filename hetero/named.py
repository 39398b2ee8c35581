"""Import strings: the one place where a name in a record becomes code, when it is first needed.

Only for names that this project or an installed package declares; names in a user's file go through
:mod:`hetero.own_code`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def named(path: str) -> Any:
    """Import the object of ``module:name``, or the ``module`` alone.

    Raises:
        ImportError: When there is no such module.
        AttributeError: When the module has no such name.
    """
    module, _, name = path.partition(":")
    loaded = import_module(module)
    return getattr(loaded, name) if name else loaded
