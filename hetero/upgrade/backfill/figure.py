"""The backfill curves as a picture."""

from __future__ import annotations

import io
from typing import Any, Literal

from hetero.display.figures import own_settings
from hetero.upgrade.backfill.make import RANDOM
from hetero.upgrade.backfill.plan import BackfillPlan

INK = "#1f2933"
FAINT = "#616e7c"
CHOSEN = "#0b5394"
# Told apart by all kinds of colour vision; dashes tell the lines apart in print.
OTHER = {"color": "#e69f00", "linestyle": (0, (5, 2)), "linewidth": 1.5}


def draw_curves(plan: BackfillPlan, *, format: Literal["svg", "png"] = "svg") -> bytes:
    """Draw M against the share of the gallery re-embedded, a line an order.

    Args:
        plan: The plan, whose metric is drawn.
        format: ``svg`` (text stays text) or ``png`` (at 200 dots an inch).

    Returns:
        The file's bytes; equal plans give equal bytes.
    """
    from matplotlib.figure import Figure

    with own_settings():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        figure.patch.set_facecolor("white")
        axes = figure.add_subplot()
        for name, style in _styles(plan).items():
            axes.plot(plan.shares, plan.orders[name].curve[plan.metric], marker="o", markersize=3, label=name, **style)
        _label(axes, plan)
        out = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(out, format=format, dpi=200, metadata=metadata)
    return out.getvalue()


def _styles(plan: BackfillPlan) -> dict[str, dict[str, Any]]:
    """Return the style of each order: the chosen one first and boldest, random last."""
    rest = [name for name in plan.orders if name not in (plan.chosen, RANDOM)]
    chosen: dict[str, dict[str, Any]] = {plan.chosen: {"color": CHOSEN, "linewidth": 2.4}}
    return chosen | dict.fromkeys(rest, OTHER) | {RANDOM: {"color": FAINT, "linewidth": 1.2}}


def _label(axes: Any, plan: BackfillPlan) -> None:
    axes.set_xlabel("share of the gallery re-embedded", color=FAINT)
    axes.set_ylabel(f"{plan.metric}, new queries", color=FAINT)
    title = f"{plan.gallery} images; {plan.reporting_queries} queries that had no part in choosing the order"
    axes.set_title(title, color=INK, fontsize=10, loc="left", pad=10)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(color="#eef1f4")
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
