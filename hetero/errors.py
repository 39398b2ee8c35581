"""One exception type for everything that a user can correct."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(Exception):
    """Bad input; the message states the expectation, the actual value and the remedy.

    The command line prints the message without a traceback and exits with status 2.

    Args:
        message: The whole message, or its first line when ``problems`` are given.
        problems: All single problems, listed below the first line.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        lines = [message, *(f"  - {problem}" for problem in self.problems)]
        super().__init__("\n".join(lines))


class SpaceMismatchError(InputError):
    """Vectors of two embedding spaces were about to be mixed."""


class IntegrityError(InputError):
    """A file on disk does not match its manifest or schema."""
