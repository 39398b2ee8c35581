"""Core ML, for iOS and macOS."""

from __future__ import annotations

from pathlib import Path

from export.formats.protobuf import space_among
from export.kinds.format import Engine, Format
from export.kinds.interface import INPUT, OUTPUT, Shape, TensorEntry
from export.kinds.precision import Offer, Precision, Refusal

SPECIFICATION = Path("Data/com.apple.CoreML/model.mlmodel")
"""Path of the program in a package."""

_RUNS_ON = "iOS 16, macOS 13"
_USER_DEFINED = (2, 100, 100)
"""Fields that lead to the user-defined metadata: of Model, of its description and of the description's metadata."""
_ENGINES = "device_tests.runtimes.coreml.engines"


def _signature(_precision: Precision, shape: Shape) -> tuple[TensorEntry, TensorEntry]:
    """Return the interface: Core ML takes the image itself."""
    image = TensorEntry(INPUT, "image-rgb", (shape.height, shape.width))
    return image, TensorEntry(OUTPUT, "float32", (1, shape.dimension))


COREML = Format(
    name="coreml",
    title="Core ML",
    platforms="Core ML: iOS 16 and later, macOS 13 and later",
    suffix=".mlpackage",
    converter="export.formats.coreml.convert",
    packages=("torch", "coremltools"),
    precisions={
        "fp32": Offer("ML program in float32", _RUNS_ON, 1e-4, 1 - 1e-6),
        "fp16": Offer("ML program in float16 with float32 output", _RUNS_ON, 1e-3, 0.999, half=True),
        "int8": Refusal("int8 activations need iOS 17 and Apple's runtime to check; take int8-weights or a palette"),
        "int8-dynamic": Refusal("Core ML quantises no activations while running; take int8-weights"),
        "int8-weights": Offer(
            "weights in int8, a scale a channel only where channels differ; arithmetic in float16",
            _RUNS_ON,
            5e-3,
            0.9,
            half=True,
        ),
        "int8-uint8io": Refusal("Core ML takes the image itself and gives float vectors; take int8-weights"),
        "palette8": Offer("weights as 256 shared values; arithmetic in float16", _RUNS_ON, 5e-3, 0.9, half=True),
        "palette6": Offer("weights as 64 shared values; arithmetic in float16", _RUNS_ON, 2e-2, 0.5, half=True),
        "palette4": Offer("weights as 16 shared values; arithmetic in float16", _RUNS_ON, 5e-2, 0.5, half=True),
    },
    engines={
        "desktop": Engine("coreml-reference", f"{_ENGINES}:CoreMlReference"),
        "macos": Engine("coreml", f"{_ENGINES}:CoreMl"),
    },
    card=(Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"),
    read_space=lambda path: space_among((path / SPECIFICATION).read_bytes(), _USER_DEFINED),
    signature=_signature,
    not_here="nothing on {target} executes Core ML",
)
