"""Architectures as a picture: a row of boxes, one a block, each as high as its number of channels."""

from __future__ import annotations

from typing import Any

from hetero.nas.figures.drawing import FAINT, INK, PICTURE, drawn
from hetero.nas.outcome import SearchOutcome
from hetero.nas.space.architecture import Architecture, Block

_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7")
_MARKS = {"relu": "R", "relu6": "R6", "hardswish": "H", "silu": "S", "gelu": "G"}


def architecture_figure(result: SearchOutcome, *, format: PICTURE = "svg") -> bytes:
    """Draw each tier's winner as a row of blocks."""
    rows = [
        (f"{winner.tier}\n{winner.costs['macs'] / 1e6:.2f}M MACs", winner.architecture) for winner in result.winners
    ]
    return draw_architectures(rows, format=format)


def draw_architectures(rows: list[tuple[str, Architecture]], *, format: PICTURE = "svg") -> bytes:
    """Draw architectures, a row each, with the name on the left.

    A box is a block: its colour shows the kind, its height the channels, its text kernel, expansion and
    squeeze-excite; the letter under a stage is its activation.
    """
    architectures = [architecture for _, architecture in rows]
    widest = max(sum(len(stage.blocks) + 0.5 for stage in architecture.stages) for architecture in architectures)
    most = max(stage.channels for architecture in architectures for stage in architecture.stages)
    kinds = sorted({architecture.kind for architecture in architectures})
    colours = {kind: _COLOURS[index % len(_COLOURS)] for index, kind in enumerate(kinds)}

    bottom = -1.35 * (len(rows) - 1) - 1.0

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for row, (name, architecture) in enumerate(rows):
            _row(axes, -1.35 * row, name, architecture, most, colours)
        for index, kind in enumerate(kinds):
            axes.text(index * 3.2, 0.78, f"■ {kind}", color=colours[kind], fontsize=9, weight="bold")
        axes.text(-2.1, bottom, _caption(rows), va="bottom", color=FAINT, fontsize=7)
        axes.set_xlim(-2.2, widest)
        axes.set_ylim(bottom, 1.0)
        axes.axis("off")

    return drawn(draw, (1.0 + 0.72 * (widest + 2.2), 0.9 + 1.25 * len(rows)), format)


def _row(axes: Any, middle: float, name: str, architecture: Architecture, most: int, colours: dict[str, str]) -> None:
    from matplotlib.patches import Rectangle

    axes.text(-2.1, middle, name, va="center", color=INK, fontsize=9, weight="bold")
    left = 0.0
    for stage in architecture.stages:
        height = 0.4 + 0.6 * stage.channels / most
        for block in stage.blocks:
            corner = (left, middle - height / 2)
            axes.add_patch(Rectangle(corner, 0.9, height, facecolor=colours[architecture.kind], edgecolor="white"))
            axes.text(left + 0.45, middle, _words(block), ha="center", va="center", fontsize=6.5, color=INK)
            left += 1.0
        centre = left - len(stage.blocks) / 2
        text = f"{stage.channels} {_MARKS[stage.activation]}"
        axes.text(centre, middle - 0.62, text, ha="center", va="center", fontsize=7, color=FAINT)
        left += 0.5


def _caption(rows: list[tuple[str, Architecture]]) -> str:
    """Explain the words in and below the boxes."""
    used = {stage.activation for _, architecture in rows for stage in architecture.stages}
    activations = ", ".join(f"{mark} {name}" for name, mark in _MARKS.items() if name in used)
    return (
        f"In a box: kernel, expansion, SE for squeeze-excite. Below a stage: channels and activation ({activations})."
    )


def _words(block: Block) -> str:
    return f"{block.kernel}x{block.kernel}\nx{block.expansion:g}" + ("\nSE" if block.squeeze_excite else "")
