"""Errors on their way to another process."""

from __future__ import annotations

import pickle
import traceback
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def sendable(error: E) -> E | RuntimeError:
    """Return the error, or one with the same text where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
