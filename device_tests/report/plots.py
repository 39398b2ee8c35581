"""Plots as SVG text that takes its colours from the page, so that they suit light and dark alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from markupsafe import Markup, escape

WIDE, NARROW = 1080.0, 360.0
"""Widths of a plot for a desk and for a phone, in pixels."""
_HEIGHT = 420.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 24.0, 20.0, 52.0
# The area that a label covers: this many times its point's cost, and this much of the metric above and below.
_LABEL_FACTOR, _LABEL_HEIGHT = 2.0, 0.04
_LABEL_WIDTH = {WIDE: 190, NARROW: 110}

_Values = Float64[np.ndarray, " n"]
Strip = tuple[str, _Values, float | None]


@dataclass(frozen=True)
class Point:
    """A model in the plot of accuracy against cost.

    Attributes:
        name: The point's label.
        macs: Multiply-accumulates of one image.
        value: The metric, 0 to 1.
        kind: ``cloud``, ``student`` or ``device``: its colour and shape.
        label: True if its name and value are written beside it.
        low: Lower end of an interval, if there is one.
        high: Upper end.
    """

    name: str
    macs: int
    value: float
    kind: str
    label: bool = True
    low: float | None = None
    high: float | None = None


def accuracy_against_macs(points: Sequence[Point], metric: str, width: float = WIDE) -> Markup:
    """Draw a scatter plot with a logarithmic cost axis; a reference line marks the cloud's accuracy.

    Args:
        points: The models.
        metric: Name of the metric.
        width: :data:`WIDE`, or :data:`NARROW`, which has no room for the labels of devices.
    """
    low, high = _decades([point.macs for point in points])
    top = _nice_top(max((point.high or point.value) for point in points))

    def x(macs: int | float) -> float:
        return _LEFT + (math.log10(macs) - low) / (high - low) * (width - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_line(_LEFT, y(step), width - _RIGHT, y(step), "grid") for step in _steps(top)]
    parts += [_text(_LEFT - 8, y(step) + 4, f"{step:.1f}", "tick end") for step in _steps(top)]
    ticks = _log_ticks(low, high, width)
    parts += [_line(x(at), _TOP, x(at), _HEIGHT - _BOTTOM, "grid") for at in ticks]
    parts += [_text(x(at), _HEIGHT - _BOTTOM + 18, _si(at), "tick middle") for at in ticks]
    for point in (point for point in points if point.kind == "cloud"):
        parts.append(_line(_LEFT, y(point.value), width - _RIGHT, y(point.value), "reference"))
    for point in points:
        parts += _mark(point, x(point.macs), y)
    labelled = [point for point in points if point.label and (width == WIDE or point.kind != "device")]
    for point, height in zip(labelled, spread_labels([y(point.value) for point in labelled]), strict=True):
        left = crowded(point, labelled) or x(point.macs) >= width - _LABEL_WIDTH[width]
        parts.append(_label(point, x(point.macs), height, left=left))
    parts.append(
        _text((_LEFT + width - _RIGHT) / 2, _HEIGHT - 10, "multiply-accumulates per image (log scale)", "axis middle")
    )
    parts.append(_text(_LEFT, 12.0, metric, "axis"))
    return _svg(width, _HEIGHT, f"{metric} against multiply-accumulates per image", parts)


def parity_strips(rows: Sequence[Strip], width: float = WIDE) -> Markup:
    """Draw the distances of golden images' embeddings from torch's on a logarithmic axis.

    Args:
        rows: A label, ``1 - cosine`` of each golden image, and the largest allowed; None if it is not judged.
        width: :data:`WIDE`, with a dot for each image, or :data:`NARROW`, with the labels above, a line from the
            smallest to the largest distance and a dot for the median.
    """
    narrow = width == NARROW
    smallest = min((float(values[values > 0].min()) for _, values, _ in rows if (values > 0).any()), default=1e-16)
    low = math.floor(math.log10(max(smallest, 1e-17)))
    high = math.ceil(math.log10(max(max(gate or 0.0, float(values.max())) for _, values, gate in rows))) + 0.2
    left, step = (_RIGHT, 36.0) if narrow else (300.0, 30.0)
    height = _TOP + step * len(rows) + _BOTTOM

    def x(value: float) -> float:
        at = math.log10(value) if value > 0 else low
        return left + (max(at, low) - low) / (high - low) * (width - left - _RIGHT)

    ticks = [10.0**power for power in range(low, math.floor(high) + 1)]
    bottom = height - _BOTTOM
    parts = [_line(x(tick), _TOP, x(tick), bottom, "grid") for tick in ticks]
    labelled = ticks[:: max(1, len(ticks) // (4 if narrow else 7))]
    parts += [_text(x(tick), bottom + 18, f"1e{round(math.log10(tick))}", "tick middle") for tick in labelled]
    for index, (label, values, gate) in enumerate(rows):
        middle = _TOP + step * (index + (0.75 if narrow else 0.5))
        if gate is not None:
            half = 6.0 if narrow else step / 2
            parts.append(_line(x(gate), middle - half, x(gate), middle + half, "limit"))
        place, kind = ((0.0, middle - 10), "tick") if narrow else ((left - 12, middle + 4), "tick end")
        parts.append(_text(*place, label, kind))
        parts += (_range if narrow else _dots)(values, gate, x, middle)
    told = "1 - cosine to torch (log scale)"
    if not narrow:
        told = "1 - cosine to torch, each golden image (log scale); dashed: the gate of float32"
    parts.append(_text((left + width - _RIGHT) / 2, height - 10, told, "axis middle"))
    return _svg(width, height, "Distance of golden images' embeddings from torch's", parts)


def _dots(values: _Values, gate: float | None, x: Callable[[float], float], middle: float) -> list[Markup]:
    # A fixed scatter across the strip, so that equal values stay visible.
    offsets = [((place * 7) % 11 - 5) * 1.3 for place in range(len(values))]
    return [_dot(value, gate, x, middle + offset) for value, offset in zip(values.tolist(), offsets, strict=True)]


def _range(values: _Values, gate: float | None, x: Callable[[float], float], middle: float) -> list[Markup]:
    ends = _line(x(float(values.min())), middle, x(float(values.max())), middle, "interval student")
    return [ends, _dot(float(np.median(values)), gate, x, middle)]


def _dot(value: float, gate: float | None, x: Callable[[float], float], y: float) -> Markup:
    shape = "bad" if gate is not None and value > gate else "good"
    return Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(shape, x(value), y)


def _mark(point: Point, x: float, scale: Callable[[float], float]) -> list[Markup]:
    parts: list[Markup] = []
    y = scale(point.value)
    if point.low is not None and point.high is not None:
        parts.append(_line(x, scale(max(0.0, point.low)), x, scale(point.high), f"interval {point.kind}"))
    if point.kind == "device":
        square = '<rect class="mark device" x="{:.1f}" y="{:.1f}" width="17" height="17" rx="2"/>'
        parts.append(Markup(square).format(x - 8.5, y - 8.5))
    else:
        parts.append(Markup('<circle class="mark {}" cx="{:.1f}" cy="{:.1f}" r="6.5"/>').format(point.kind, x, y))
    return parts


def _label(point: Point, x: float, y: float, *, left: bool) -> Markup:
    text = f"{point.name}  {point.value:.3f}"
    if point.kind == "cloud":
        return _text(x, y - 14, text, "label middle")
    return _text(x - 15, y + 4, text, "label end") if left else _text(x + 15, y + 4, text, "label")


def crowded(point: Point, points: Sequence[Point]) -> bool:
    """Return True if a label to the right of a point would cover another point of similar cost and accuracy."""
    return any(
        1.0 < other.macs / point.macs < _LABEL_FACTOR and abs(other.value - point.value) < _LABEL_HEIGHT
        for other in points
    )


def spread_labels(wanted: Sequence[float], gap: float = 17.0) -> list[float]:
    """Move labels down until they are ``gap`` apart, keeping their order (heights grow downwards)."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = list(wanted)
    for above, below in pairwise(order):
        heights[below] = max(heights[below], heights[above] + gap)
    return heights


def _decades(values: Sequence[int]) -> tuple[float, float]:
    low, high = math.log10(min(values)), math.log10(max(values))
    return low - 0.35, high + 0.35


def _log_ticks(low: float, high: float, width: float) -> list[float]:
    powers = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if high - low < width / WIDE * 3 else (1,)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    return [tick for tick in ticks if low <= math.log10(tick) <= high]


def _nice_top(value: float) -> float:
    return min(1.0, math.ceil(value * 10 + 0.5) / 10)


def _steps(top: float) -> list[float]:
    step = 0.1 if top <= 0.7 else 0.2
    return [index * step for index in range(round(top / step) + 1)]


def _si(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(kind, x, y, text)


def _svg(width: float, height: float, title: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg class="plot" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">').format(
        width, height, escape(title)
    )
    return head + Markup("").join(parts) + Markup("</svg>")
