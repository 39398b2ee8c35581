"""LiteRT (TFLite), for Android and embedded Linux."""

from __future__ import annotations

from pathlib import Path

from export.formats.litert.graph import read_graph
from export.formats.litert.space import read_space
from export.formats.refusals import NO_PALETTES, STATIC
from export.kinds.format import Engine, Format
from export.kinds.precision import Offer

_RUNS_ON, _RUNS_INT8 = "LiteRT 1.0 / TensorFlow Lite 2.15", "LiteRT 1.0"

LITERT = Format(
    name="litert",
    title="LiteRT",
    platforms="LiteRT: Android, embedded Linux, desktop",
    suffix=".tflite",
    converter="export.formats.litert.convert",
    packages=("torch", "litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
    precisions={
        "fp32": Offer("litert-torch", _RUNS_ON, 1e-4, 1 - 1e-6),
        "fp16": Offer(
            "weights in float16; computed in float16 by GPU delegates only", _RUNS_ON, 1e-3, 0.999, half=True
        ),
        "int8": Offer(f"{STATIC}; float32 output", _RUNS_INT8, 1e-2, 0.5, calibrated=True),
        "int8-dynamic": Offer(
            "weights in int8, activations quantised while running",
            "LiteRT 1.0 (TensorFlow Lite 2.14 loads it and is silently wrong)",
            1e-2,
            0.9,
        ),
        "int8-weights": Offer("weights in int8, arithmetic in float32", _RUNS_ON, 5e-3, 0.9),
        "int8-uint8io": Offer(
            "as int8, with the output in uint8: for accelerators that exchange bytes only",
            _RUNS_INT8,
            1e-2,
            0.5,
            calibrated=True,
        ),
        **NO_PALETTES,
    },
    engines={
        "desktop": Engine("litert"),
        "phone": Engine("litert"),
        "old phone": Engine("tflite-runtime"),
        "browser": Engine("litert-web"),
    },
    card=(Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"),
    read_space=read_space,
    read_graph=read_graph,
    operators="export.formats.litert.operators",
    accelerators="export.formats.litert.accelerators",
    effort=2,
)
