"""What a target is asked, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, UInt8
from numpy.typing import NDArray

from hetero.preprocessing import Preprocessing

Progress = Callable[[int, int], None]
"""Called with the images done and their total."""


@dataclass(frozen=True)
class Original:
    """A file that the target decodes and resizes itself.

    Attributes:
        file: A JPEG or PNG file.
        image: Row of :attr:`Request.images` with the pixels that the contract makes of it; None where its own pixels
            are asked for, and not their embedding.
    """

    file: Path
    image: int | None = None


@dataclass(frozen=True)
class Request:
    """Embed images with one exported model.

    Attributes:
        name: For messages.
        runtime: The engine, one of those in :attr:`Target.runtimes`.
        model: The exported file.
        images: uint8 [n, h, w, 3].
        precision: As in the bundle's manifest.
        originals: Files to decode and resize as ``preprocessing`` says.
        preprocessing: The contract; needed with originals.
        settings: Options of the engine, by its own names.
    """

    name: str
    runtime: str
    model: Path
    images: UInt8[np.ndarray, "n h w 3"]
    precision: str = "fp32"
    originals: tuple[Original, ...] = ()
    preprocessing: Preprocessing | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Timing:
    """Time models by themselves, on noise, one thread, batch of one.

    Attributes:
        runtime: The engine, ``onnxruntime`` or ``litert``.
        models: Files, which may take anything.
        runs: Of each at least; the least counts.
        at_least_seconds: That these runs take together.
    """

    runtime: str
    models: tuple[Path, ...]
    runs: int = 20
    at_least_seconds: float = 2e-3


@dataclass(frozen=True)
class Timed:
    """How long models took.

    Attributes:
        seconds: In the order of :attr:`Timing.models`.
        version: The runtime's.
    """

    seconds: tuple[float, ...]
    version: str


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
        not_verified: Whether the error only says that this runtime cannot tell.
        counts_instructions: Whether the clock advanced by a nanosecond an instruction, so that times count them.
        tensors: Name, type, scale and zero point of the input and the output, as the model's file says them; empty when
            the target does not tell, like a type.
        certifies: What a pass says, where the runtime is not the engine that applications use; times are its own then.
        decoder: What decoded the originals; empty when nothing on the target can.
        pixels: uint8 [o, h, w, 3] that the target made of the originals; None without a decoder.
        decode_errors: For each original why it could not be decoded; empty where it could.
        pixel_embeddings: float32 [e, d] of these pixels, for the originals with an :attr:`Original.image`.
        incomplete: Whether this machine failed at a part of it, so that another run may answer more.
        also: Embeddings [n, d] of the same model and images under other settings of the runtime, for comparison only.
    """

    embeddings: NDArray[np.float32] | None = None
    error: str = ""
    runtime: str = ""
    load_seconds: float = 0.0
    latency_seconds: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    peak_memory_bytes: int = 0
    emulated: bool = False
    not_verified: bool = False
    counts_instructions: bool = False
    tensors: tuple[tuple[str, str, float, int], ...] = ()
    certifies: str = ""
    decoder: str = ""
    pixels: NDArray[np.uint8] | None = None
    decode_errors: tuple[str, ...] = ()
    pixel_embeddings: NDArray[np.float32] | None = None
    incomplete: bool = False
    also: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])


@runtime_checkable
class Target(Protocol):
    """A machine that runs exported models. It knows nothing of checks."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def runtimes(self) -> Mapping[str, str]:
        """Which runtime runs each format; a format that is missing cannot be verified here."""
        ...

    @property
    def emulated(self) -> bool:
        """Whether its processor is: its times say nothing then, and others may run beside it."""
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

    def close(self) -> None:
        """Stop what :meth:`run` started; it may be run again afterwards."""
        ...


@runtime_checkable
class Stopwatch(Protocol):
    """A target whose clock says something: it times models by themselves."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def counting(self) -> bool:
        """Whether its clock counts instructions, a nanosecond each."""
        ...

    def set_up(self) -> None:
        """See :meth:`Target.set_up`."""
        ...

    def describe(self) -> Mapping[str, str]:
        """See :meth:`Target.describe`."""
        ...

    def time(self, timing: Timing, progress: Progress) -> Timed:
        """Time models; ``progress`` is called with the models done and their total.

        Raises:
            InputError: When one cannot be timed, or the target is lost.
        """
        ...

    def close(self) -> None:
        """See :meth:`Target.close`."""
        ...
