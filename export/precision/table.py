"""Which format takes which precision: how it is made, what runs it at least, and why it is refused where it is.

The one table that conversion, the command line, the model card and the documentation read. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.bundle.manifest import FORMATS, PRECISIONS, Format, Precision
from hetero.errors import InputError


@dataclass(frozen=True)
class Offer:
    """A precision that a format takes.

    Attributes:
        made: How the file is made.
        runs_on: The least runtime or system that reads it.
        goal: Largest share of asymmetric map@r that it may lose against the float32 model on the calibration set.
        sanity: Smallest cosine with torch on a golden image at which the file still counts as the same model. Whether
            it is good enough for retrieval, verification says.
        calibrated: Whether it cannot be made without calibration images.
        half: Whether some runtime computes it in float16, so that float16's range must hold every intermediate value.
    """

    made: str
    runs_on: str
    goal: float
    sanity: float
    calibrated: bool = False
    half: bool = False


@dataclass(frozen=True)
class Refusal:
    """A precision that a format does not take, and why."""

    why: str


_ONNX, _LITERT = "ONNX Runtime 1.17 (opset 20)", "LiteRT 1.0 / TensorFlow Lite 2.15"
_APPLE = "iOS 16, macOS 13"
_STATIC = "activations and weights in int8 with ranges from calibration images; the norm stays float32"
_PALETTES = "palettes are a Core ML compression; take int8-weights"
_WEIGHTS = "ONNX Runtime keeps no compressed weights for float convolutions; take fp16, or int8"

_ONNX_TABLE: dict[Precision, Offer | Refusal] = {
    "fp32": Offer("torch.onnx, opset 20", _ONNX, 1e-4, 1 - 1e-6),
    "fp16": Offer("weights and arithmetic in float16, input and output as in fp32", _ONNX, 1e-3, 0.999, half=True),
    "int8": Offer(f"quantise/dequantise pairs: {_STATIC}", _ONNX, 1e-2, 0.5, calibrated=True),
    "int8-dynamic": Refusal("ONNX Runtime's dynamic convolutions (ConvInteger) are slow everywhere; take int8"),
    "int8-weights": Refusal(_WEIGHTS),
    "int8-uint8io": Refusal(
        "int8 already takes uint8 pixels, and nothing that runs ONNX asks for bytes out; take int8"
    ),
    "palette8": Refusal(_PALETTES),
    "palette6": Refusal(_PALETTES),
    "palette4": Refusal(_PALETTES),
}
_LITERT_TABLE: dict[Precision, Offer | Refusal] = {
    "fp32": Offer("litert-torch", _LITERT, 1e-4, 1 - 1e-6),
    "fp16": Offer("weights in float16; computed in float16 by GPU delegates only", _LITERT, 1e-3, 0.999, half=True),
    "int8": Offer(f"{_STATIC}; float32 output", "LiteRT 1.0", 1e-2, 0.5, calibrated=True),
    "int8-dynamic": Offer(
        "weights in int8, activations quantised while running",
        "LiteRT 1.0 (TensorFlow Lite 2.14 loads it and is silently wrong)",
        1e-2,
        0.9,
    ),
    "int8-weights": Offer("weights in int8, arithmetic in float32", _LITERT, 5e-3, 0.9),
    "int8-uint8io": Offer(
        "as int8, with the output in uint8: for accelerators that exchange bytes only",
        "LiteRT 1.0",
        1e-2,
        0.5,
        calibrated=True,
    ),
    "palette8": Refusal(_PALETTES),
    "palette6": Refusal(_PALETTES),
    "palette4": Refusal(_PALETTES),
}
_COREML_TABLE: dict[Precision, Offer | Refusal] = {
    "fp32": Offer("ML program in float32", _APPLE, 1e-4, 1 - 1e-6),
    "fp16": Offer("ML program in float16 with float32 output", _APPLE, 1e-3, 0.999, half=True),
    "int8": Refusal("int8 activations need iOS 17 and Apple's runtime to check; take int8-weights or a palette"),
    "int8-dynamic": Refusal("Core ML quantises no activations while running; take int8-weights"),
    "int8-weights": Offer(
        "weights in int8, a scale a channel only where channels differ; arithmetic in float16",
        _APPLE,
        5e-3,
        0.9,
        half=True,
    ),
    "int8-uint8io": Refusal("Core ML takes the image itself and gives float vectors; take int8-weights"),
    "palette8": Offer("weights as 256 shared values; arithmetic in float16", _APPLE, 5e-3, 0.9, half=True),
    "palette6": Offer("weights as 64 shared values; arithmetic in float16", _APPLE, 2e-2, 0.5, half=True),
    "palette4": Offer("weights as 16 shared values; arithmetic in float16", _APPLE, 5e-2, 0.5, half=True),
}
_TABLES: dict[Format, dict[Precision, Offer | Refusal]] = {
    "onnx": _ONNX_TABLE,
    "litert": _LITERT_TABLE,
    "coreml": _COREML_TABLE,
}
TABLE: dict[tuple[Format, Precision], Offer | Refusal] = {
    (name, precision): entry for name, table in _TABLES.items() for precision, entry in table.items()
}


def offer(format: Format, precision: Precision) -> Offer:
    """The table's entry.

    Raises:
        InputError: When the format refuses the precision, with the reason.
    """
    entry = TABLE[format, precision]
    if isinstance(entry, Refusal):
        raise InputError(f"{format} {precision}: {entry.why}")
    return entry


def offered(formats: Sequence[Format], precisions: Sequence[Precision]) -> list[tuple[Format, Precision]]:
    """Every pair that the table offers, format by format, in the order asked for."""
    return [(name, each) for name in formats for each in precisions if isinstance(TABLE[name, each], Offer)]


def refused(formats: Sequence[Format], precisions: Sequence[Precision]) -> dict[tuple[Format, Precision], str]:
    """Every pair that the table refuses, with the reason."""
    pairs: list[tuple[Format, Precision]] = [(name, each) for name in formats for each in precisions]
    return {pair: entry.why for pair in pairs if isinstance(entry := TABLE[pair], Refusal)}


def selection_problems(formats: Sequence[str], precisions: Sequence[str]) -> list[str]:
    """What is wrong with a choice of formats and precisions: unknown names, repetitions, and what no format takes."""
    problems = [f"format {name!r}: expected one of {', '.join(FORMATS)}" for name in formats if name not in FORMATS]
    problems += [
        f"precision {name!r}: expected one of {', '.join(PRECISIONS)}" for name in precisions if name not in PRECISIONS
    ]
    if not formats or not precisions:
        problems.append("name at least one format and one precision")
    if len({*formats}) < len(formats) or len({*precisions}) < len(precisions):
        problems.append("a format or precision is named twice")
    if problems:
        return problems
    known: list[Format] = [name for name in FORMATS if name in formats]
    for precision in PRECISIONS:
        if precision in precisions and not offered(known, [precision]):
            reasons = refused(known, [precision])
            problems += [f"precision {precision}: {name} refuses it: {why}" for (name, _), why in reasons.items()]
    return problems
