"""A Ray cluster that a command's work is spread over."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import hetero
from hetero.errors import InputError
from hetero.own_code import VARIABLE, code_is_allowed

_PACKAGES = Path(hetero.__file__).parents[1]


def ray_library() -> Any:
    """Import Ray.

    Raises:
        InputError: When it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(f"--ray needs Ray ({error}); install the extra: pip install 'hetero[cluster]'") from None
    return ray


def joined(ray: Any, address: str) -> None:
    """Join a cluster. Code of a user's own is allowed there where it is allowed here.

    Args:
        ray: The library.
        address: As ``ray start`` prints it, or ``auto``.

    Raises:
        InputError: When there is no cluster at the address.
    """
    try:
        environment = {"env_vars": {VARIABLE: "1"}} if code_is_allowed() else {}
        # Workers import first from the driver's working directory, which may be a folder of downloads.
        with contextlib.chdir(_PACKAGES):
            ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}; start one with `ray start --head`") from None
