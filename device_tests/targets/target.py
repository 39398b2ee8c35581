"""Targets, their requests and their answers."""

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
"""Called with the number of images done and their total."""


@dataclass(frozen=True)
class Original:
    """A file that the target decodes and resizes itself.

    Attributes:
        file: A JPEG or PNG file.
        image: Row of :attr:`Request.images` with the contract's pixels of it; None if only the target's own pixels are
            needed, and not their embedding.
    """

    file: Path
    image: int | None = None


@dataclass(frozen=True)
class CarriedGallery:
    """A gallery that the target searches with what it embeds.

    Attributes:
        graph: Its file, a usearch index of float16 vectors by inner product.
        items: Number of items.
        connectivity: Links of an item in the graph.
        effort: Candidates that the search keeps.
        depth: Number of items to find.
        first: Row of the first image of :attr:`Request.images` to search with; the others follow.
    """

    graph: Path
    items: int
    connectivity: int
    effort: int
    depth: int
    first: int


@dataclass(frozen=True)
class Request:
    """A request to embed images with one exported model.

    Attributes:
        name: Name for messages.
        runtime: The engine, one of those in :attr:`Target.runtimes`.
        model: The exported file.
        images: uint8 [n, h, w, 3].
        precision: The precision in the bundle's manifest.
        originals: Files to decode and resize according to ``preprocessing``.
        preprocessing: The contract; needed with originals.
        settings: Options of the engine, by its own names.
        gallery: The gallery to search; None for none.
    """

    name: str
    runtime: str
    model: Path
    images: UInt8[np.ndarray, "n h w 3"]
    precision: str = "fp32"
    originals: tuple[Original, ...] = ()
    preprocessing: Preprocessing | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    gallery: CarriedGallery | None = None


@dataclass(frozen=True)
class Timing:
    """A request to time models by themselves, on noise, one thread, batch of one.

    Attributes:
        runtime: The engine, ``onnxruntime`` or ``litert``.
        models: Model files, with any input.
        runs: Least number of runs of each; the fastest counts.
        at_least_seconds: Least total time of these runs.
    """

    runtime: str
    models: tuple[Path, ...]
    runs: int = 20
    at_least_seconds: float = 2e-3


@dataclass(frozen=True)
class Timed:
    """The times of models.

    Attributes:
        seconds: In the order of :attr:`Timing.models`.
        version: The runtime's version.
    """

    seconds: tuple[float, ...]
    version: str


@dataclass(frozen=True)
class Returned:
    """The answer of a target.

    Attributes:
        embeddings: float32, as the target computed them, [n, d] if all is well; None if it failed.
        error: The reason for a failure; empty otherwise.
        runtime: The engine and its version.
        load_seconds: Time to import the runtime and load the model.
        latency_seconds: float64 [n], one image at a time.
        peak_memory_bytes: Largest resident size of the process, Python and runtime included; 0 if unknown.
        emulated: True if the CPU is emulated; times then say nothing about a real one.
        not_verified: True if the error says nothing about the model.
        counts_instructions: True if the clock advances by a nanosecond per instruction, so that times count them.
        tensors: Name, type, scale and zero point of the input and the output in the model's file; empty if the target
            does not report them, as is the type.
        certifies: The meaning of a pass if the runtime is not the engine of applications; times are then its own.
        decoder: The decoder of the originals; empty if the target has none.
        pixels: uint8 [o, h, w, 3], the target's own pixels of the originals; None without a decoder.
        decode_errors: For each original the reason why it could not be decoded; empty if it could.
        pixel_embeddings: float32 [e, d] of these pixels, for the originals with an :attr:`Original.image`.
        incomplete: True if this machine failed at a part of it, so that another run may answer more.
        near: uint64 [q, k], keys that a search of the request's gallery found, best first; None if it was not searched.
        exact: uint64 [q, k], the same of a search that compares with every vector.
        gallery_error: The reason why the gallery could not be searched; empty otherwise.
        gallery_lacks: True if the reason is the target's, which lacks a package, and says nothing about the gallery.
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
    near: NDArray[np.uint64] | None = None
    exact: NDArray[np.uint64] | None = None
    gallery_error: str = ""
    gallery_lacks: bool = False
    also: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])


@runtime_checkable
class Target(Protocol):
    """A machine that runs exported models; it does not know the checks."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    @property
    def runtimes(self) -> Mapping[str, str]:
        """The runtime of each format; a missing format cannot be verified here."""
        ...

    @property
    def emulated(self) -> bool:
        """True if the CPU is emulated; timings are then meaningless, and other runs may go on at the same time."""
        ...

    def set_up(self) -> None:
        """Make the target ready.

        Raises:
            InputError: If it is unavailable on this machine.
        """
        ...

    def state(self) -> str:
        """Return ``ready``, with details if any, or how to set it up, without changing anything.

        Raises:
            InputError: If it is unavailable on this machine.
        """
        ...

    def describe(self) -> Mapping[str, str]:
        """Describe it once it is set up: processor, system, versions."""
        ...

    def run(self, request: Request, progress: Progress) -> Returned:
        """Send the model and the images, run, fetch the embeddings. A failing model is an answer, not an exception."""
        ...

    def close(self) -> None:
        """Stop what :meth:`run` started; it may be run again afterwards."""
        ...


@runtime_checkable
class Stopwatch(Protocol):
    """A target with a meaningful clock, which times models by themselves."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    @property
    def counting(self) -> bool:
        """True if its clock counts instructions, a nanosecond each."""
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
            InputError: If one cannot be timed, or the target is lost.
        """
        ...

    def close(self) -> None:
        """See :meth:`Target.close`."""
        ...
