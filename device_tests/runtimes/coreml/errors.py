"""The error of the reference executor for unknown content."""

from __future__ import annotations

from hetero.errors import InputError


class NotVerifiedError(InputError):
    """A model uses something that this executor does not know, so it makes no claim.

    Attributes:
        operator: Type of the operator.
        name: Name of its first output.
    """

    exit_code = 3

    def __init__(self, operator: str, name: str, reason: str = "") -> None:
        self.operator = operator
        self.name = name
        super().__init__(f"not verified: {operator} at {name}" + (f": {reason}" if reason else ""))
