"""``contract.json``: all that an application has to know of the one model that it ships. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, Literal

from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle
from export.kinds.interface import TensorEntry
from export.kinds.precision import Precision
from export.kinds.registry import FormatName, format_called
from export.precision.table import offer
from hetero.errors import IntegrityError
from hetero.preprocessing import Preprocessing
from hetero.schema import parse, record
from hetero.space import EmbeddingSpace

SCHEMA = "hetero/app/1"
CONTRACT = "contract.json"
SELF_TESTS = 3
ANDROID_RUNTIMES = {
    "litert": ("com.google.ai.edge.litert:litert", "ai_edge_litert"),
    "onnx": ("com.microsoft.onnxruntime:onnxruntime-android", "onnxruntime"),
}
"""For each format, Maven's name of the runtime, and the name of the same runtime among a model's versions."""
_VERSION = re.compile(r"[A-Za-z0-9.+_-]+")
_CLOSEST = 1 - 1e-4
_DRIFT = 2.0
"""Devices may drift this many times as far from torch as the exporting machine's runtime did."""


@record
class SelfTestEntry:
    """An image with the vector that torch gives for it; both paths lie beside ``contract.json``.

    Attributes:
        image: An 8-bit RGB PNG. Decode and resize it as any photograph: it may be smaller than the model's input, and
            of another shape.
        vector: float32 [d], little-endian, of length one.
    """

    image: str
    vector: str


@record
class AppContract:
    """One model of a bundle, as an application uses it.

    Attributes:
        name: The model's name.
        format: Name of its format, for instance ``litert``.
        precision: Precision of weights and arithmetic.
        model: Its file, or its directory for Core ML, beside ``contract.json``.
        sha256: Digest of the file; of a directory, the digest of its files' paths and digests.
        size: Size in bytes; of a directory, the sum.
        space: The embedding space of its vectors: compare vectors only when their ``space_id`` is the same.
        preprocessing: What an application does to an image before the model: decoding, orientation, resizing.
        input: The model's input.
        output: The model's output; where ``scale`` is not 0, a value is ``scale * (byte - zero_point)``.
        versions: Versions of the converter and runtime that made and checked the file.
        hetero: Version of hetero that exported it.
        source: SHA-256 of the weights that were exported.
        licence: SPDX identifier or words; empty if not stated.
        images: Origin of the self-test images, in words; empty if not stated.
        least_cosine: The self-test passes if the cosine with each expected vector is at least this.
        self_test: Images with their vectors.
        schema: Version of this record.
    """

    name: str
    format: FormatName
    precision: Precision
    model: str
    sha256: str
    size: int
    space: EmbeddingSpace
    preprocessing: Preprocessing
    input: TensorEntry
    output: TensorEntry
    versions: dict[str, str]
    hetero: str
    source: str
    licence: str
    images: str
    least_cosine: float
    self_test: tuple[SelfTestEntry, ...]
    schema: Literal["hetero/app/1"] = SCHEMA

    @property
    def android_runtime(self) -> str:
        """Maven's name of the runtime for Android, in the version that checked the file; of any version if none did.

        Raises:
            IntegrityError: If the manifest's version is none.
        """
        artefact, package = ANDROID_RUNTIMES[self.format]
        version = self.versions.get(package, "+")
        if not _VERSION.fullmatch(version):  # it gets into a build script, which is code
            raise IntegrityError(f"{package}: expected a version, got {version!r}")
        return f"{artefact}:{version}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return asdict(self) | {"preprocessing": self.preprocessing.to_dict()}

    @classmethod
    def from_dict(cls, value: object, *, what: str = CONTRACT) -> AppContract:
        """Check a record and turn it into a contract.

        Args:
            value: Content of the file.
            what: Name of the file in the message.

        Raises:
            IntegrityError: With every wrong, missing or unknown key.
        """
        return parse(cls, value, what=what, error=IntegrityError)


def contract_of(bundle: Bundle, model: ModelEntry) -> AppContract:
    """Return the contract of one of a bundle's models."""
    manifest = bundle.manifest
    return AppContract(
        name=manifest.name,
        format=model.format,
        precision=model.precision,
        model=f"model{format_called(model.format).suffix}",
        sha256=model.sha256,
        size=model.size,
        space=bundle.space,
        preprocessing=bundle.preprocessing,
        input=model.input,
        output=model.output,
        versions=model.versions,
        hetero=manifest.hetero,
        source=manifest.source,
        licence=manifest.licence,
        images=manifest.images.origin if manifest.images else "",
        least_cosine=least_cosine(model),
        self_test=self_test_entries(),
    )


def self_test_entries() -> tuple[SelfTestEntry, ...]:
    """Return the paths of the self-test, in a bundle as in an application."""
    return tuple(SelfTestEntry(f"selftest/{one}.png", f"selftest/{one}.f32") for one in range(SELF_TESTS))


def least_cosine(model: ModelEntry) -> float:
    """Return the cosine with torch that a device has to reach.

    Twice the drift that the exporting machine measured is allowed; where nothing was measured, the precision's own
    limit at export holds. No device has to come closer than 1e-4: decoders differ by a grey level.
    """
    drift = None if model.min_cosine is None else _DRIFT * (1 - model.min_cosine)
    least = offer(model.format, model.precision).sanity if drift is None else 1 - drift
    return min(_CLOSEST, least)
