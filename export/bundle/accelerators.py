"""The part of an exported file that a phone's accelerator takes, as operators alone tell it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from hetero.schema import record

AcceleratorName = Literal["coreml-ep", "nnapi", "litert-gpu"]
ACCELERATORS: tuple[AcceleratorName, ...] = get_args(AcceleratorName)


@dataclass(frozen=True)
class Accelerator:
    """A way from a runtime to a phone's GPU or NPU.

    Attributes:
        title: Name for people.
        otherwise: What to ship in place of a file that it does not take in one piece.
    """

    title: str
    otherwise: str


KNOWN: Mapping[AcceleratorName, Accelerator] = {
    "coreml-ep": Accelerator(
        "ONNX Runtime's Core ML provider (iOS, `ModelFormat` set to `MLProgram`)",
        "on iOS ship the Core ML package, or ONNX in fp32 or fp16",
    ),
    "nnapi": Accelerator(
        "ONNX Runtime's NNAPI provider (Android 10 to 14)",
        "on Android ship LiteRT in fp16 for the GPU, or ONNX in fp32 with relu, relu6 or silu as its activations",
    ),
    "litert-gpu": Accelerator("LiteRT's GPU delegate (Android, iOS)", "ship LiteRT in fp32 or fp16"),
}


@record
class Breaker:
    """Operators that an accelerator leaves to the processor.

    Attributes:
        operator: Kind of operator, for instance ``HardSwish``.
        count: Number of them.
        reason: Why it leaves them.
    """

    operator: str
    count: int
    reason: str


@record
class AcceleratorFit:
    """The fit of a file to one accelerator: an estimate from the graph's operators, made without the accelerator.

    Between two partitions values go back to the processor, so that one partition is the aim: with more than two, the
    processor alone is usually faster.

    Attributes:
        accelerator: The accelerator.
        partitions: Number of pieces that it takes; 0 if it takes nothing.
        taken: Number of operators in these pieces.
        operators: Number of all operators, once the runtime has simplified the graph.
        breakers: Operators that it leaves to the processor.
    """

    accelerator: AcceleratorName
    partitions: int
    taken: int
    operators: int
    breakers: tuple[Breaker, ...] = ()

    @property
    def share(self) -> float:
        """Share of the operators that it takes."""
        return self.taken / self.operators if self.operators else 0.0

    @property
    def in_one_piece(self) -> bool:
        """True if it takes one piece, and most operators with it."""
        return self.partitions == 1 and self.share > _MOST


_MOST = 0.75
"""The share from which ONNX Runtime's checker calls one partition suitable."""


def taken_in_words(fit: AcceleratorFit) -> str:
    """Describe in a few words what an accelerator takes."""
    if not fit.partitions:
        return "nothing"
    pieces = "one partition" if fit.partitions == 1 else f"{fit.partitions} partitions"
    return f"{pieces}, {fit.taken} of {fit.operators} operators ({fit.share:.1%})"


def left_in_words(fit: AcceleratorFit) -> str:
    """Name the operators that an accelerator leaves to the processor by the reason; empty if there are none."""
    by_reason: dict[str, list[str]] = {}
    for breaker in fit.breakers:
        by_reason.setdefault(breaker.reason, []).append(f"{breaker.count} {breaker.operator}")
    return "; ".join(f"{', '.join(operators)} ({reason})" for reason, operators in by_reason.items())


def instead_in_words(fit: AcceleratorFit) -> str:
    """Say what to ship for an accelerator that does not take a file in one piece; empty if it does."""
    return "" if fit.in_one_piece else KNOWN[fit.accelerator].otherwise
