"""A reference executor for Core ML: it loads an ``.mlpackage`` on any system and computes it in numpy.

It imports neither torch nor coremltools. ``docs/coreml-executor.md`` describes what it certifies.
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
