"""A Mac: Apple's own Core ML, by compute unit.

Written for the documented interface of coremltools (``models.MLModel(path, compute_units=ComputeUnit.X)`` and its
``predict``), and never run by its authors, who have no Mac: on other systems it says so and is not verified.
"""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Mapping

from device_tests.targets.desktop import PACKAGES
from device_tests.targets.job import clean_environment
from device_tests.targets.process import LocalRunner
from device_tests.targets.target import Progress, Request, Returned
from device_tests.targets.versions import installed_versions
from export.kinds.registry import engines_on
from hetero.errors import InputError
from hetero.processes import children

NAME = "macos"
UNITS = {"all": "ALL", "cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "ane": "CPU_AND_NE"}
"""Names of coremltools' compute units, by the suffix after ``macos:``."""

_PACKAGES = ("coremltools", "numpy", "pillow")


class MacOs:
    """The target ``macos``, or ``macos:cpu``, ``macos:gpu``, ``macos:ane`` for some compute units only.

    Args:
        unit: A key of :data:`UNITS`.

    Raises:
        InputError: For an unknown unit.
    """

    emulated = False

    def __init__(self, unit: str = "all") -> None:
        if unit not in UNITS:
            raise InputError(f"no compute unit {unit!r}; expected one of {', '.join(UNITS)}")
        self.name = NAME if unit == "all" else f"{NAME}:{unit}"
        self._unit = unit
        environment = clean_environment(PYTHONPATH=str(PACKAGES))
        self._runner = LocalRunner(children.python("-s"), environment, emulated=False)

    @property
    def runtimes(self) -> Mapping[str, str]:
        """The runtime of each format on a Mac."""
        return engines_on("macos")

    def set_up(self) -> None:
        """Check that this is a Mac with coremltools.

        Raises:
            InputError: If it is not.
        """
        if sys.platform != "darwin":
            raise InputError(
                f"Core ML runs on macOS only; this is {platform.system()}. Verify on a Mac with `{self.name}`"
            )
        installed_versions(_PACKAGES)

    def state(self) -> str:
        """Return ``ready``; raise if this is no Mac with coremltools."""
        self.set_up()
        return "ready"

    def describe(self) -> Mapping[str, str]:
        """Return system, compute units and versions."""
        return {
            "system": f"macOS {platform.mac_ver()[0]}, {platform.machine()}",
            "compute units": UNITS[self._unit],
            **installed_versions(_PACKAGES),
            "certifies": "what this Mac's Core ML computes; it may use fewer units than it is allowed",
            "leaves open": "iPhones: their chips, systems, speed and memory; Image I/O, as Pillow decodes image files",
        }

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images."""
        with_unit = dataclasses.replace(request, settings={"compute_units": UNITS[self._unit]})
        return self._runner.run(with_unit, progress)

    def close(self) -> None:
        """End the processes."""
        self._runner.close()
