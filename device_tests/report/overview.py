"""One picture of a verification, for a README or a slide: accuracy against cost, the matrix, and example queries."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from device_tests.report.evidence import Evidence
from device_tests.report.hits import Example, examples
from device_tests.report.matrix import HEADLINE_METRIC, heatmaps, points
from device_tests.report.plots import Point, crowded, spread_labels
from device_tests.report.table import Line, RowDict
from export.bundle.goldens import Goldens
from hetero.display.figures import own_settings
from hetero.errors import InputError
from hetero.files import write_bytes

_INK, _SOFT, _LINE = "#1b2130", "#5b6475", "#e2e0d9"
_GOOD, _BAD, _WRONG = "#14765a", "#d9a39d", "#b3261e"
_GROUND: dict[str, Any] = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
_MARK: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7, "weight": "bold", "bbox": _GROUND}
_COLOURS = {"cloud": _INK, "student": "#2f5fd0", "device": "#c2551a"}
_MIX = {"flipped": 1, "right": 3, "wrong": 2}
_HITS = 4


def write_overview(
    out: Path, *, rows: Sequence[RowDict], matrix: Mapping[str, Any], bundles: Sequence[Path], embeddings: Path
) -> None:
    """Draw the picture; arguments as of :func:`device_tests.report.page.write_report`.

    Args:
        out: A ``.png`` (at 160 dots an inch) or ``.svg`` file.
        rows: As in ``verdict.json``.
        matrix: As in ``matrix.json``.
        bundles: The bundle directories that were verified.
        embeddings: The directory of the targets' embeddings.

    Raises:
        InputError: If no target returned embeddings to show, or for another kind of file.
    """
    if out.suffix not in (".png", ".svg"):
        raise InputError(f"expected a .png or .svg file for the picture, got {out.name}")
    gathered = Evidence.gather(rows, bundles, embeddings)
    lines = gathered.shown()
    if not lines:
        raise InputError("expected a target that returned embeddings, found none: nothing was verified")
    line = lines[0]
    goldens = gathered.bundles[line.bundle].goldens
    picked = examples(goldens, gathered.embeddings[line], f"{line.bundle} on {line.target}", _MIX)
    write_bytes(out, _draw(matrix, gathered.lines, goldens, picked, out.suffix[1:]))


def _draw(
    matrix: Mapping[str, Any], lines: Sequence[Line], goldens: Goldens, picked: Sequence[Example], format: str
) -> bytes:
    from matplotlib.figure import Figure

    with own_settings(font_size=9, svg_fonttype="path"):
        figure = Figure(figsize=(12.5, 6.2), facecolor="white")
        halves: Any = figure.subfigures(1, 2, width_ratios=[1.0, 1.12])
        quarters: Any = halves[0].subfigures(2, 1, height_ratios=[1.15, 1])
        _draw_points(quarters[0], points(matrix, lines))
        _draw_matrix(quarters[1], matrix)
        _draw_hits(halves[1], goldens, picked)
        out = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(out, format=format, dpi=160, metadata=metadata)
    return out.getvalue()


def _draw_points(figure: Any, points: Sequence[Point]) -> None:
    axes = figure.add_axes((0.12, 0.2, 0.84, 0.64))
    axes.set_title("Accuracy in the cloud model's gallery", loc="left", color=_INK, fontsize=11, weight="bold")
    for point in points:
        colour = _COLOURS[point.kind]
        if point.kind == "cloud":
            axes.axhline(point.value, color=_INK, linewidth=1, linestyle=(0, (4, 4)), alpha=0.5)
        if point.low is not None and point.high is not None:
            axes.plot([point.macs] * 2, [point.low, point.high], color=colour, linewidth=1.5, alpha=0.5)
        style = {"marker": "s", "facecolor": "none", "s": 110} if point.kind == "device" else {"marker": "o", "s": 50}
        axes.scatter([point.macs], [point.value], edgecolor=colour, zorder=3, **({"facecolor": colour} | style))
    axes.set_xscale("log")
    axes.margins(x=0.4)
    top = min(1.08, 1.25 * max(point.value for point in points))
    axes.set_ylim(-0.04 * top, top)
    _label_points(axes, [point for point in points if point.label], gap=0.085 * top)
    axes.minorticks_off()
    axes.set_xlabel("multiply-accumulates per image; squares: on the worst verified target", color=_SOFT)
    axes.set_ylabel(HEADLINE_METRIC, color=_SOFT)
    axes.grid(color=_LINE, linewidth=0.8)
    _plain(axes)


def _label_points(axes: Any, points: Sequence[Point], gap: float) -> None:
    heights = spread_labels([-point.value for point in points], gap)
    for point, height in zip(points, heights, strict=True):
        text = f"{point.name}  {point.value:.3f}"
        cloud = point.kind == "cloud"
        place = (point.macs, point.value if cloud else -height)
        side = ((-10, -3), "right") if crowded(point, points) else ((10, -3), "left")
        offset, align = ((0, 9), "center") if cloud else side
        axes.annotate(text, place, offset, textcoords="offset points", ha=align, color=_INK, annotation_clip=False)


def _draw_matrix(figure: Any, matrix: Mapping[str, Any]) -> None:
    from matplotlib import colormaps

    heatmap = next(table for table in heatmaps(matrix) if table.metric == HEADLINE_METRIC)
    axes = figure.add_axes((0.18, 0.06, 0.78, 0.66))
    grid = np.array([[np.nan if cell.value is None else cell.value for cell in cells] for _, cells in heatmap.rows])
    axes.imshow(np.ma.masked_invalid(grid), cmap=colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    for row, (_, cells) in enumerate(heatmap.rows):
        for column, cell in enumerate(cells):
            text = "-" if cell.value is None else f"{cell.value:.3f}"
            colour = "white" if (cell.value or 0) > 0.6 else _INK
            axes.text(column, row, text, ha="center", va="center", color=colour, weight="bold")
    axes.set_xticks(range(len(heatmap.models)), heatmap.models, color=_INK)
    axes.set_yticks(range(len(heatmap.models)), heatmap.models, color=_INK)
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(len(heatmap.models) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(heatmap.models) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=3)
    title = f"{HEADLINE_METRIC}: query model (rows) in gallery model (columns)"
    axes.set_title(title, loc="left", color=_INK, fontsize=11, weight="bold", pad=22)
    axes.tick_params(which="both", length=0)
    _plain(axes)


def _draw_hits(figure: Any, goldens: Goldens, picked: Sequence[Example]) -> None:
    names = ["query", f"found by {picked[0].hits[0].model}", f"found by {picked[0].hits[2].model}"]
    figure.text(0.03, 0.945, "What queries find in the cloud model's gallery", color=_INK, fontsize=11, weight="bold")
    height = 0.83 / len(picked)
    starts = (0.03, 0.185, 0.595)
    for name, start in zip(names, starts, strict=True):
        figure.text(start, 0.895, name, color=_SOFT)
    for index, example in enumerate(picked):
        bottom = 0.875 - (index + 1) * height
        box = (starts[0], bottom + 0.01, 0.11, height - 0.02)
        _picture(figure, goldens.retrieval_images[example.row], box, _LINE)
        for hits, start in ((example.hits[0], starts[1]), (example.hits[2], starts[2])):
            for rank, (row, good) in enumerate(zip(hits.rows[:_HITS], hits.right[:_HITS], strict=True)):
                box = (start + rank * 0.095, bottom + 0.01, 0.092, height - 0.02)
                _picture(figure, goldens.retrieval_images[row], box, _GOOD if good else _BAD, "✓" if good else "✗")


def _picture(figure: Any, image: Any, box: tuple[float, float, float, float], colour: str, mark: str = "") -> None:
    axes = figure.add_axes(box)
    axes.imshow(image, interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(color=colour, linewidth=2.6 if mark == "✓" else 1.6)
    if mark:
        axes.text(0.96, 0.05, mark, transform=axes.transAxes, color=_GOOD if mark == "✓" else _WRONG, **_MARK)


def _plain(axes: Any) -> None:
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=_SOFT, length=0)
