"""The formats that a model is exported to, each in a folder of its own."""

from __future__ import annotations

from export.formats.coreml import COREML
from export.formats.executorch import EXECUTORCH
from export.formats.litert import LITERT
from export.formats.onnx import ONNX
from export.kinds.registry import register

BUILT_IN = (ONNX, LITERT, COREML, EXECUTORCH)
FORMATS = tuple(format.name for format in BUILT_IN if format.extra == "export")
"""Names of the formats that are exported where none are named; the others need an extra of their own."""
TIMED = tuple(format.name for format in BUILT_IN if format.operators)
"""Formats whose operators can be timed by themselves."""


def register_built_in() -> None:
    """Register the built-in formats in :mod:`export.kinds.registry`."""
    for format in BUILT_IN:
        register(format)
