"""This machine, with its own runtimes."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import device_tests
from device_tests.targets.job import clean_environment
from device_tests.targets.process import LocalRunner
from device_tests.targets.target import Progress, Request, Returned, Timed, Timing
from device_tests.targets.versions import RUNTIME_PACKAGES, installed_versions, versions_beside
from export.kinds.registry import engine_place, engines_on
from hetero.processes import children

EXACT_INT8 = {"session.x64quantprecision": "1"}
"""x86 processors without VNNI add int8 products in 16 bits, which saturate; this makes ONNX Runtime take a slower way
that does not. See its documentation of ``kOrtSessionOptionsAvx2PrecisionMode``."""


PACKAGES = Path(device_tests.__file__).resolve().parents[1]
"""The folder that contains this package."""


class Desktop:
    """A target that runs models in a process on this machine."""

    name = "desktop"
    emulated = False
    counting = False

    def __init__(self) -> None:
        python = children.python("-s")
        self._runner = LocalRunner(python, clean_environment(), emulated=False)
        # For engines that do not travel; some are part of this package.
        self._own = LocalRunner(python, clean_environment(PYTHONPATH=str(PACKAGES)), emulated=False)

    @property
    def runtimes(self) -> Mapping[str, str]:
        """The runtime of each format on this machine."""
        return engines_on("desktop")

    def set_up(self) -> None:
        """Check that the runtimes are installed.

        Raises:
            InputError: If some are not, with their names.
        """
        installed_versions(RUNTIME_PACKAGES)

    def state(self) -> str:
        """Return ``ready``; raise if runtimes are missing."""
        self.set_up()
        return "ready"

    def describe(self) -> Mapping[str, str]:
        """Return processor, system and versions."""
        return {
            "processor": _processor(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **installed_versions(RUNTIME_PACKAGES),
            **versions_beside("desktop"),
            "certifies": "what these runtimes compute on this processor; int8 in ONNX Runtime as ARM does it",
            "leaves open": "phones: their kernels, accelerators, speed and memory",
        }

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images; an int8 model of ONNX Runtime on x86 with both kinds of arithmetic.

        Exact int8 arithmetic, as on every ARM processor, is judged.
        """
        if not (request.runtime == "onnxruntime" and request.precision.startswith("int8") and _is_x86()):
            return self._run(request, progress)
        exact = self._run(dataclasses.replace(request, settings=EXACT_INT8), progress)
        default = self._run(dataclasses.replace(request, originals=()), lambda _done, _total: None)
        if exact.embeddings is None or default.embeddings is None:
            return dataclasses.replace(exact, incomplete=True)
        return dataclasses.replace(exact, also={"x86_default": default.embeddings})

    def _run(self, request: Request, progress: Progress) -> Returned:
        runner = self._own if engine_place(request.runtime) else self._runner
        return runner.run(request, progress)

    def time(self, timing: Timing, progress: Progress) -> Timed:
        """Time models in a process on this machine."""
        return self._runner.time(timing, progress)

    def close(self) -> None:
        """End the processes."""
        self._runner.close()
        self._own.close()


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64", "i686")


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
