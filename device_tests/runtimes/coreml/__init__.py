"""A reference executor for Core ML: loads an ``.mlpackage`` on any system and computes it in numpy.

Imports neither torch nor coremltools. What it certifies is in ``docs/coreml-executor.md``.
"""

from __future__ import annotations

from device_tests.runtimes.coreml.apple import AppleModel, CoreMlModel, load_on_apple
from device_tests.runtimes.coreml.errors import NotVerifiedError
from device_tests.runtimes.coreml.executor import Arithmetic
from device_tests.runtimes.coreml.operators import OPERATORS
from device_tests.runtimes.coreml.reference import ReferenceModel, Result, load
from device_tests.runtimes.coreml.rounding import Incident

__all__ = [
    "OPERATORS",
    "AppleModel",
    "Arithmetic",
    "CoreMlModel",
    "Incident",
    "NotVerifiedError",
    "ReferenceModel",
    "Result",
    "load",
    "load_on_apple",
]
