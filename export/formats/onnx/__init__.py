"""ONNX, for ONNX Runtime on Android, iOS, the web and servers."""

from __future__ import annotations

from pathlib import Path

from export.formats.onnx.graph import read_graph
from export.formats.protobuf import space_among
from export.formats.refusals import NO_PALETTES, STATIC
from export.kinds.format import Engine, Format
from export.kinds.precision import Offer, Refusal

_RUNS_ON = "ONNX Runtime 1.17 (opset 20)"
_METADATA_PROPS = 14
"""Number of the metadata field of ModelProto."""

ONNX = Format(
    name="onnx",
    title="ONNX",
    platforms="ONNX Runtime: Android, iOS, web, desktop",
    suffix=".onnx",
    converter="export.formats.onnx.convert",
    packages=("torch", "onnx", "onnxscript", "onnxruntime"),
    precisions={
        "fp32": Offer("torch.onnx, opset 20", _RUNS_ON, 1e-4, 1 - 1e-6),
        "fp16": Offer(
            "weights and arithmetic in float16, input and output as in fp32", _RUNS_ON, 1e-3, 0.999, half=True
        ),
        "int8": Offer(f"quantise/dequantise pairs: {STATIC}", _RUNS_ON, 1e-2, 0.5, calibrated=True),
        "int8-dynamic": Refusal("ONNX Runtime's dynamic convolutions (ConvInteger) are slow everywhere; take int8"),
        "int8-weights": Refusal("ONNX Runtime keeps no compressed weights for float convolutions; take fp16, or int8"),
        "int8-uint8io": Refusal(
            "int8 already takes uint8 pixels, and nothing that runs ONNX asks for bytes out; take int8"
        ),
        **NO_PALETTES,
    },
    engines={
        "desktop": Engine("onnxruntime"),
        "phone": Engine("onnxruntime"),
        "browser": Engine("onnxruntime-web"),
    },
    card=(Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"),
    read_space=lambda path: space_among(path.read_bytes(), [_METADATA_PROPS]),
    any_batch=True,
    read_graph=read_graph,
    operators="export.formats.onnx.operators",
    accelerators="export.formats.onnx.accelerators",
    effort=1,
)
