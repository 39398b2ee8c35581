"""How an int8 file was made and why, as the manifest says it."""

from __future__ import annotations

from typing import Literal

from hetero.metrics.bootstrap import Interval
from hetero.schema import record

Calibrator = Literal["minmax", "average", "percentile", "entropy", "mse"]
Scales = Literal["channel", "depthwise", "tensor"]
DecidedBy = Literal["nothing", "not finite", "map@r", "overlap@10", "size", "angle"]


@record
class Int8Figures:
    """What an int8 file did to calibration queries, which set none of its ranges where there are enough of them.

    Attributes:
        loss: Share of the float32 model's asymmetric map@r that it lost, with its 95 % interval.
        overlap: Share of the float32 model's ten nearest that it kept (overlap@10).
        angle: Mean angle of its vectors to the float32 model's, in degrees.
        size: Of the file, in bytes, before its description is added.
    """

    loss: Interval
    overlap: float
    angle: float
    size: int


@record
class Evidence:
    """Why an int8 file was made as it was; see :mod:`export.precision.rule`.

    Attributes:
        queries: How many calibration queries were measured.
        classes: How many classes they are of.
        chosen: What the choice did to them.
        plain: What the plain tools' default did: a scale a channel, ranges from the smallest to the largest value,
            biases as they are.
        decided_by: What the default fell behind in; ``nothing`` when it was chosen.
        overlap_gain: The choice's overlap less the default's, with its paired 95 % interval; None when the default
            gives no finite vectors.
    """

    queries: int
    classes: int
    chosen: Int8Figures
    plain: Int8Figures | None
    decided_by: DecidedBy
    overlap_gain: Interval | None


@record
class Quantisation:
    """How an int8 file was made: as what keeps most of the float32 model's retrieval; see :mod:`export.precision.rule`.

    Attributes:
        calibrator: How activation ranges follow from the values seen; None where weights alone are int8.
        scales: Whose weights have a scale of their own: each output channel's, those of depthwise convolutions only (a
            channel there has few weights, and shares no input with another), or only each layer's.
        reduce_range: Whether weights use 7 of 8 bits, which x86 processors without VNNI need.
        float_layers: Layers that stay in float32.
        tried: How many choices were measured.
        goal: Largest share of map@r that it was to lose.
        met: Whether it lost no more on the calibration queries that were measured to choose it.
        bias_correction: Whether biases make up for what rounded weights shift.
        evidence: What was measured; None in bundles that an earlier version wrote.
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
