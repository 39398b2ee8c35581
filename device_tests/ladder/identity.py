"""The embedding space that a model's file names, read without the libraries that wrote it."""

from __future__ import annotations

from pathlib import Path

from export.kinds.registry import format_called


def space_in_file(format: str, path: Path) -> str:
    """Return the space id in a model's file; empty if there is none, or if the file is malformed."""
    read_space = format_called(format).read_space
    try:
        return read_space(path)
    except ImportError:
        raise
    except Exception:  # a damaged file makes readers raise all kinds of exceptions
        return ""
