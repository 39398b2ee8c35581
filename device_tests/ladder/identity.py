"""Which embedding space a model's file itself names, read without the libraries that wrote it."""

from __future__ import annotations

from pathlib import Path

from export.kinds.registry import format_called


def space_in_file(format: str, path: Path) -> str:
    """The space id that a model's file carries; empty when it carries none, or is no such file."""
    read = format_called(format).read_space
    try:
        return read(path)
    except ImportError:
        raise
    except Exception:  # a damaged file makes readers raise all kinds
        return ""
