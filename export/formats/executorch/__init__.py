"""ExecuTorch, torch's own runtime for Android, iOS and embedded Linux, with the kernels of XNNPACK."""

from __future__ import annotations

from pathlib import Path

from export.formats.executorch.description import read_description
from export.formats.refusals import NO_PALETTES, STATIC
from export.kinds.format import SPACE_KEY, Engine, Format
from export.kinds.precision import Offer, Refusal

_RUNS_ON = "ExecuTorch 1.5 with XNNPACK"

EXECUTORCH = Format(
    name="executorch",
    title="ExecuTorch",
    platforms="ExecuTorch: Android, iOS, embedded Linux",
    suffix=".pte",
    converter="export.formats.executorch.convert",
    extra="executorch",
    packages=("torch", "executorch", "torchao"),
    precisions={
        "fp32": Offer("torch.export, lowered to XNNPACK", _RUNS_ON, 1e-4, 1 - 1e-6),
        "fp16": Refusal("whether XNNPACK computes float16 depends on the processor; take fp32 or int8"),
        "int8": Offer(STATIC, _RUNS_ON, 1e-2, 0.5, calibrated=True),
        "int8-dynamic": Refusal("XNNPACK quantises activations while running in no depthwise convolution; take int8"),
        "int8-weights": Refusal("XNNPACK keeps no compressed weights for float convolutions; take int8"),
        "int8-uint8io": Refusal("int8 already takes uint8 pixels, and nothing that runs ExecuTorch asks for bytes out"),
        **NO_PALETTES,
    },
    engines={"desktop": Engine("executorch", "device_tests.runtimes.executorch:ExecuTorch", "executorch")},
    card=(Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"),
    read_space=lambda path: read_description(path.read_bytes()).get(SPACE_KEY, ""),
    effort=1,
    not_here="{target} cannot run ExecuTorch: its Python runtime needs torch, which does not travel there",
)
