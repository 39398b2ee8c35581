"""The common parts of a search's pictures: colours, and a canvas whose bytes depend on nothing but the data."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Literal

from hetero.display.figures import own_settings

INK, FAINT, GRID = "#1f2933", "#616e7c", "#eef1f4"
# Colours of Okabe and Ito, distinct in all kinds of colour vision; shapes keep the points distinct in print.
CLOUD, SEARCHED, HANDMADE, RANDOM = "#1f2933", "#0072b2", "#d55e00", "#b8c0c8"
PICTURE = Literal["svg", "png"]


def drawn(draw: Callable[[Any], None], size: tuple[float, float], format: PICTURE = "svg") -> bytes:
    """Draw a figure.

    Args:
        draw: Draws on an empty matplotlib figure.
        size: Width and height in inches.
        format: ``svg`` (text stays text) or ``png`` (at 200 dots an inch).

    Returns:
        The file's bytes; equal drawings give equal bytes.
    """
    from matplotlib.figure import Figure

    with own_settings():
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_facecolor("white")
        draw(figure)
        out = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(out, format=format, dpi=200, metadata=metadata)
    return out.getvalue()


def plain(axes: Any) -> None:
    """Remove the frame of axes, and put a faint grid behind them."""
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
