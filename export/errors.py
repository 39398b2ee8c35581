"""The error of a failed export."""

from __future__ import annotations

from hetero.errors import InputError


class ExportError(InputError):
    """A model could not be converted, or its file does not reproduce the model."""

    exit_code = 1
