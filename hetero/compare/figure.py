"""The comparison as a picture: each method's figure, seed by seed, against the cloud's own."""

from __future__ import annotations

import io

from hetero.compare.outcome import Outcome
from hetero.display.figures import own_settings

INK, FAINT, SEED, CLOUD = "#1f2933", "#9aa5b1", "#2f6fb3", "#c2571a"


def figure(result: Outcome) -> bytes:
    """Draw a row for each method: a dot for each seed, the mean, and its 95 % interval; the cloud's mean as a line.

    Returns:
        An SVG file; equal outcomes give equal bytes.
    """
    from matplotlib.figure import Figure as Canvas

    with own_settings():
        canvas = Canvas(figsize=(7.2, 1.4 + 0.36 * len(result.methods)), layout="constrained")
        axes = canvas.subplots()
        rows = sorted(result.methods, key=lambda row: row.asymmetric[result.metric].mean)
        for height, row in enumerate(rows):
            values = row.asymmetric[result.metric]
            axes.plot([row.interval.low, row.interval.high], [height, height], color=FAINT, linewidth=3, zorder=1)
            axes.scatter(values.seeds, [height] * len(values.seeds), s=16, color=SEED, zorder=2)
            axes.scatter([values.mean], [height], s=90, marker="|", color=INK, zorder=3)
        axes.axvline(result.cloud[result.metric].mean, color=CLOUD, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(rows)), [_label(row.name, result) for row in rows])
        axes.set_xlim(left=0)
        axes.set_xlabel(f"{result.metric} of the student's queries in the cloud's gallery (dashed: the cloud's own)")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
        stream = io.BytesIO()
        canvas.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _label(name: str, result: Outcome) -> str:
    if name == result.best:
        return f"{name} (best)"
    return f"{name} (chosen)" if name == result.chosen else name
