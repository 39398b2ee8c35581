"""The Pareto front as a picture: accuracy in the cloud's gallery against cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hetero.nas.figures.drawing import CLOUD, FAINT, HANDMADE, INK, PICTURE, RANDOM, SEARCHED, drawn, plain
from hetero.nas.outcome import SearchOutcome

_STYLES: dict[str, dict[str, Any]] = {
    "cloud": {"color": CLOUD, "marker": "*", "s": 130},
    "searched": {"color": SEARCHED, "marker": "o", "s": 45},
    "hand-made": {"color": HANDMADE, "marker": "s", "s": 36},
    "random": {"color": FAINT, "marker": "^", "s": 36},
}
_UNITS = {"macs": (1e6, "M"), "parameters": (1e3, "k")}
_BESIDE = 7
_NAMES = {"macs": "multiply-accumulates per image", "parameters": "parameters", "size_mb": "megabytes"}


@dataclass(frozen=True)
class Trained:
    """A model that was trained by itself.

    Attributes:
        name: Name beside its point.
        kind: Origin of the model.
        cost: Cost in the unit of the horizontal axis.
        value: M(q, g).
        low: End of its interval; None without one.
        high: The other end.
    """

    name: str
    kind: Literal["cloud", "searched", "hand-made", "random"]
    cost: float
    value: float
    low: float | None = None
    high: float | None = None


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the (cost, value) points that no other beats in both, cheapest first."""
    front: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or value > front[-1][1]:
            front.append((cost, value))
    return front


def front_figure(result: SearchOutcome, *, cost: str = "macs", format: PICTURE = "svg") -> bytes:
    """Draw every candidate of a search as judged with the supernet's weights, the front, the winners and the cloud.

    Args:
        result: The search.
        cost: The horizontal axis, a quantity of :mod:`hetero.nas.cost.budget`.
        format: Format of the picture.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        early = [point for point in result.candidates if point.generation == 0]
        later = [point for point in result.candidates if point.generation > 0]
        for group, colour, label in ((early, RANDOM, "random"), (later, "#8cc4e8", f"proposed by {result.algorithm}")):
            if group:
                places = [point.costs[cost] for point in group], [point.figures["r2"] for point in group]
                axes.scatter(*places, s=9, color=colour, label=label)
        front = pareto_front([(point.costs[cost], point.figures["r2"]) for point in result.candidates])
        axes.step(*zip(*front, strict=True), where="post", color=SEARCHED, linewidth=1.2, label="front")
        winners = [Trained(best.tier, "searched", best.costs[cost], best.figures["r2"]) for best in result.winners]
        for index, winner in enumerate(winners):
            _point(axes, winner, label=None if index else "winner")
        _line(axes, result.cloud["figure"], f"the cloud itself {result.cloud['figure']:.3f}")
        _label(axes, cost, f"{result.metric}, candidate's queries in the cloud's gallery")
        _name(axes, winners)
        axes.set_title("Candidates with the supernet's weights, validation images", color=INK, fontsize=10, loc="left")

    return drawn(draw, (6.8, 4.4), format)


def trained_figure(points: Sequence[Trained], metric: str, *, cost: str = "macs", format: PICTURE = "svg") -> bytes:
    """Draw models that were trained by themselves: searched, hand-made, random, and the cloud as a line.

    Args:
        points: The models; costs in the unit of ``cost``.
        metric: Name of the vertical axis's metric.
        cost: Quantity of the horizontal axis.
        format: Format of the picture.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        students = [point for point in points if point.kind != "cloud"]
        for index, point in enumerate(students):
            in_legend = point.kind in {earlier.kind for earlier in students[:index]}
            _point(axes, point, label=None if in_legend else point.kind)
        for point in points:
            if point.kind == "cloud":
                _line(axes, point.value, f"{point.name} {point.value:.3f}")
        _label(axes, cost, f"{metric}, student's queries in the cloud's gallery")
        _name(axes, students)

    return drawn(draw, (6.8, 4.4), format)


def _point(axes: Any, point: Trained, label: str | None = None) -> None:
    style = _STYLES[point.kind]
    if point.low is not None and point.high is not None:
        axes.plot([point.cost] * 2, [point.low, point.high], color=style["color"], linewidth=1.4, alpha=0.5)
    axes.scatter([point.cost], [point.value], zorder=3, label=label, **style)


def _name(axes: Any, points: Sequence[Trained]) -> None:
    """Write each point's name and value beside it, or further below where another name is in the way."""
    axes.figure.draw_without_rendering()
    boxes: list[Any] = []
    for point in sorted(points, key=lambda point: -point.value):
        text = axes.annotate(
            f"{point.name} {point.value:.3f}",
            (point.cost, point.value),
            (_BESIDE, -3),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
        below = -3
        while any(text.get_window_extent().overlaps(box) for box in boxes):
            below -= 2
            text.set_position((_BESIDE, below))
        boxes.append(text.get_window_extent())


def _line(axes: Any, value: float, text: str) -> None:
    axes.axhline(value, color=CLOUD, linewidth=1, linestyle=(0, (4, 4)))
    axes.annotate(
        text, (0.01, value), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8
    )


def _label(axes: Any, cost: str, vertical: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    unit, suffix = _UNITS.get(cost, (1.0, ""))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}{suffix}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.12)
    axes.set_xlabel(_NAMES.get(cost, cost), color=FAINT)
    axes.set_ylabel(vertical, color=FAINT)
    plain(axes)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
