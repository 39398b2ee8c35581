"""One exception type for everything a user can put right."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(Exception):
    """Bad input: says what was expected, what came and what to do.

    The command line prints the message without a traceback and exits with status 2.

    Args:
        message: The whole message, or its first line when ``problems`` are given.
        problems: Single problems, all of them, listed below the first line.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        lines = [message, *(f"  - {problem}" for problem in self.problems)]
        super().__init__("\n".join(lines))


class SpaceMismatchError(InputError):
    """Vectors of two embedding spaces were about to be mixed."""


class IntegrityError(InputError):
    """A file on disk is not what its manifest or schema says."""
