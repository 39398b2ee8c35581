"""The compatibility matrix as a picture."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np

from hetero.display.figures import own_settings
from hetero.errors import InputError
from hetero.evaluation.matrix import CompatibilityMatrix

INK = "#1f2933"
FAINT = "#616e7c"
MISSING = "#eef1f4"
DARK_ENOUGH = 0.6
MOST_TOLD = 16
"""Maximum number of models whose figures are printed; a picture of more is no larger, and shows only colours."""
_MOST_NAMED, _LONGEST = 80, 48


def heatmap(
    matrix: CompatibilityMatrix, metric: str = "cmc@1", *, format: Literal["svg", "png"] = "svg", title: str = ""
) -> bytes:
    """Draw M(q, g): query models as rows, gallery models as columns, with values for up to :data:`MOST_TOLD` models.

    The colours run from light to dark blue (legible with any colour vision, and in print) over 0 to 1, so that pictures
    of different runs can be compared. A pair that cannot be measured is grey and labelled so.

    Args:
        matrix: The matrix to draw.
        metric: Name of the metric.
        format: ``svg`` (text stays text) or ``png`` (at 200 dots an inch).
        title: Title of the picture; by default the metric and the tasks that it is averaged over.

    Returns:
        The file's bytes; equal matrices give equal bytes.

    Raises:
        InputError: When the matrix has no such metric.
    """
    if metric not in matrix.metrics:
        raise InputError(f"expected one of the metrics {list(matrix.metrics)}, got {metric!r}")
    from matplotlib.figure import Figure

    with own_settings():
        count = min(len(matrix.models), MOST_TOLD)
        longest = max(map(len, _names(matrix)))
        figure = Figure(figsize=(1.6 + 0.09 * longest + 1.3 * count, 1.7 + 0.62 * count), layout="constrained")
        figure.patch.set_facecolor("white")
        axes = figure.add_subplot()
        _draw_cells(axes, matrix, metric)
        _label(axes, matrix, title or _title(matrix, metric))
        out = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(out, format=format, dpi=200, metadata=metadata)
    return out.getvalue()


def _draw_cells(axes: Any, matrix: CompatibilityMatrix, metric: str) -> None:
    from matplotlib import colormaps

    values = [[matrix.value(metric, query, gallery) for gallery in matrix.models] for query in matrix.models]
    grid = np.array([[np.nan if value is None else value for value in row] for row in values])
    colours = colormaps["Blues"].with_extremes(bad=MISSING)
    axes.imshow(np.ma.masked_invalid(grid), cmap=colours, vmin=0, vmax=1, aspect="auto")
    if len(matrix.models) > MOST_TOLD:
        return
    for row, query in enumerate(matrix.models):
        for column, gallery in enumerate(matrix.models):
            value = values[row][column]
            interval = matrix.intervals[metric][query][gallery]
            colour = "white" if value is not None and value > DARK_ENOUGH else INK
            if value is None or interval is None:
                axes.text(column, row, "not comparable", ha="center", va="center", fontsize=7.5, color=FAINT)
                continue
            weight = "bold" if row == column else "normal"
            axes.text(column, row - 0.1, f"{value:.3f}", ha="center", va="center", color=colour, weight=weight)
            spread = f"{interval.low:.3f} to {interval.high:.3f}"
            axes.text(column, row + 0.24, spread, ha="center", va="center", fontsize=6.5, color=colour)


def _label(axes: Any, matrix: CompatibilityMatrix, title: str) -> None:
    count, names = len(matrix.models), _names(matrix)
    labelled = slice(None, None, -(-count // _MOST_NAMED))
    size = 10 if count <= MOST_TOLD else max(4.0, 10 * MOST_TOLD / count)
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(count)[labelled], names[labelled], color=INK, fontsize=size)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("gallery model", color=FAINT, labelpad=8)
    axes.set_ylabel("query model", color=FAINT, labelpad=8)
    axes.set_title(title, color=INK, fontsize=11, loc="left", pad=12)
    if max(map(len, names)) > 12 or count > MOST_TOLD:
        for text in axes.get_xticklabels():
            text.set(rotation=25, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(np.arange(count - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=3 if count <= MOST_TOLD else 0.3)
    axes.tick_params(which="minor", length=0)


def _names(matrix: CompatibilityMatrix) -> list[str]:
    return [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..." for name in matrix.models]


def _title(matrix: CompatibilityMatrix, metric: str) -> str:
    tasks = len(matrix.tasks)
    over = f"mean over {tasks} tasks" if tasks > 1 else matrix.tasks[0].name
    return f"{metric}, {over}, {matrix.level:.0%} intervals over classes"
