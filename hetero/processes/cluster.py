"""A Ray cluster that a command's work is spread over."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import hetero
from hetero.errors import InputError
from hetero.own_code import VARIABLE, code_is_allowed

RETRIES = 3
"""How often a task is started again when its node is lost."""
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


def join_cluster(ray: Any, address: str) -> None:
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


def result_of(ray: Any, task: Any) -> Any:
    """Return what a task returned.

    Raises:
        InputError: The task's own, as its node raised it; or when the task was lost with its nodes.
        Exception: Any other that the task raised, with its traceback.
    """
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, InputError) else error.as_instanceof_cause()) from None
    except ray.exceptions.RayError as error:
        raise InputError(
            f"the cluster lost a task {RETRIES + 1} times, or was lost itself ({type(error).__name__}); look at the "
            "memory of its nodes, then the same command continues"
        ) from None
