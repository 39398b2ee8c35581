"""What a target is asked, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, UInt8
from numpy.typing import NDArray

Progress = Callable[[int, int], None]
"""Called with the images done and their total."""


@dataclass(frozen=True)
class Request:
    """Embed images with one exported model.

    Attributes:
        name: For messages.
        runtime: A key of :data:`device_tests.runner.RUNTIMES`.
        model: The exported file.
        images: uint8 [n, h, w, 3].
    """

    name: str
    runtime: str
    model: Path
    images: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class Returned:
    """What came back from a target.

    Attributes:
        embeddings: float32, as the target computed them, [n, d] if all is well; None when it failed.
        error: Why it failed; empty otherwise.
        runtime: The engine and its version.
        load_seconds: Importing the runtime and loading the model.
        latency_seconds: float64 [n], one image at a time.
        peak_memory_bytes: Largest resident size of the process, Python and runtime included; 0 when unknown.
        emulated: Whether the processor was emulated, so that times are not those of a real one.
    """

    embeddings: NDArray[np.float32] | None = None
    error: str = ""
    runtime: str = ""
    load_seconds: float = 0.0
    latency_seconds: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    peak_memory_bytes: int = 0
    emulated: bool = False


@runtime_checkable
class Target(Protocol):
    """A machine that runs exported models. It knows nothing of checks."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def parallel(self) -> int:
        """How many models may run at once without spoiling what is measured."""
        ...

    def set_up(self) -> None:
        """Make it ready.

        Raises:
            InputError: When it cannot be had on this machine.
        """
        ...

    def state(self) -> str:
        """Whether it is ready, found out without changing anything.

        Raises:
            InputError: When it cannot be had on this machine.
        """
        ...

    def describe(self) -> Mapping[str, str]:
        """What it is, once it is set up: processor, system, versions."""
        ...

    def run(self, request: Request, progress: Progress) -> Returned:
        """Send the model and the images, run, fetch the embeddings. A failing model is an answer, not an exception."""
        ...
