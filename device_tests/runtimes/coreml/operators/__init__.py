"""The operators' arithmetic, one family per file."""

from __future__ import annotations

import importlib
import pkgutil

from device_tests.runtimes.coreml.operators.registry import OPERATORS, Kernel, Unsupported

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["OPERATORS", "Kernel", "Unsupported"]
