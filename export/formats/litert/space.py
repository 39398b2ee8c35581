"""The embedding space that a TFLite file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.kinds.format import SPACE_KEY
from hetero.foreign import strict_json

_LARGEST_ENTRY, _MOST_ENTRIES = 1 << 20, 1000
"""Largest size in bytes of a description, and number of entries of metadata that are searched for it."""


def read_space(path: Path) -> str:
    """Return the space id in the metadata buffer called ``hetero``; empty if there is none."""
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        return ""
    model: Any = schema.Model.GetRootAs(content, 0)
    for index in range(min(model.MetadataLength(), _MOST_ENTRIES)):
        entry = model.Metadata(index)
        if entry.Name() == b"hetero":
            buffer = model.Buffers(entry.Buffer())
            if buffer.DataLength() > _LARGEST_ENTRY:
                return ""
            return str(strict_json(bytes(buffer.DataAsNumpy()), what=SPACE_KEY).get(SPACE_KEY, ""))
    return ""
