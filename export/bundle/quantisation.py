"""The quantisation of an int8 file and the reasons for it, as recorded in the manifest."""

from __future__ import annotations

from typing import Literal

from hetero.metrics.bootstrap import Interval
from hetero.schema import record

Calibrator = Literal["minmax", "average", "percentile", "entropy", "mse"]
Scales = Literal["channel", "depthwise", "tensor"]
DecidedBy = Literal["nothing", "not finite", "map@r", "overlap@10", "size", "angle"]


@record
class Int8Figures:
    """An int8 file's results on calibration queries, which set none of its ranges if there are enough of them.

    Attributes:
        loss: Share of the float32 model's asymmetric map@r that was lost, with its 95 % interval.
        overlap: Share of the float32 model's ten nearest that was kept (overlap@10).
        angle: Mean angle between its vectors and the float32 model's, in degrees.
        size: Size of the file, in bytes, before its description is added; an estimate for ExecuTorch.
    """

    loss: Interval
    overlap: float
    angle: float
    size: int


@record
class Evidence:
    """The evidence for an int8 file's quantisation; see :mod:`export.precision.rule`.

    Attributes:
        queries: Number of calibration queries measured.
        classes: Number of their classes.
        chosen: Results of the choice.
        plain: Results of the plain tools' default: a scale per channel, ranges from the smallest to the largest value,
            uncorrected biases.
        decided_by: The criterion on which the default fell behind; ``nothing`` if it was chosen.
        overlap_gain: The choice's overlap less the default's, with its paired 95 % interval; None if the default's
            vectors are not finite.
    """

    queries: int
    classes: int
    chosen: Int8Figures
    plain: Int8Figures | None
    decided_by: DecidedBy
    overlap_gain: Interval | None


@record
class Quantisation:
    """The quantisation of an int8 file, chosen to keep most of the retrieval; see :mod:`export.precision.rule`.

    Attributes:
        calibrator: Method that sets activation ranges from observed values; None if only weights are int8.
        scales: The weights with a scale per output channel: all, only those of depthwise convolutions (a channel there
            has few weights, and shares no input with another), or none, with a scale per layer.
        reduce_range: True if weights use 7 of 8 bits, which x86 processors without VNNI need.
        float_layers: Layers that stay in float32.
        tried: Number of choices whose retrieval was measured.
        goal: Largest share of map@r that it may lose.
        met: True if it lost no more on the calibration queries that were measured to choose it.
        bias_correction: True if biases compensate the shift by rounded weights.
        evidence: The measurements; None in bundles of earlier versions.
    """

    calibrator: Calibrator | None
    scales: Scales
    reduce_range: bool
    float_layers: tuple[str, ...]
    tried: int
    goal: float
    met: bool
    bias_correction: bool = False
    evidence: Evidence | None = None
