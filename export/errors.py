"""What an export fails with."""

from __future__ import annotations

from hetero.errors import InputError


class ExportError(InputError):
    """A model could not be converted, or its file does not do what the model does."""

    exit_code = 1
