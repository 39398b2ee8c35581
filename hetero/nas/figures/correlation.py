"""The correlation of a reward with the figure after training from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hetero.nas.figures.drawing import FAINT, INK, PICTURE, SEARCHED, drawn, plain


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Compute Kendall's rank correlation tau-b: agreeing minus disagreeing pairs, ties left out (Kendall, 1945).

    It is NaN when all values of either side are equal.
    """
    left, right = (np.sign(np.subtract.outer(side, side)) for side in (np.asarray(first), np.asarray(second)))
    pairs = np.triu_indices(len(left), k=1)
    left, right = left[pairs], right[pairs]
    scale = np.sqrt(np.count_nonzero(left) * np.count_nonzero(right))
    return float((left * right).sum() / scale) if scale else float("nan")


def correlation_figure(
    rewards: dict[str, Sequence[float]], trained: Sequence[float], *, format: PICTURE = "svg"
) -> bytes:
    """Draw a panel a reward: each architecture's reward against its M(q, g) after training from scratch.

    Args:
        rewards: Name -> a value for each architecture.
        trained: M(q, g) of each architecture, trained by itself.
        format: Format of the picture.
    """

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(rewards), sharey=True, squeeze=False)[0]
        for axes, (name, values) in zip(panels, rewards.items(), strict=True):
            axes.scatter(values, trained, s=18, color=SEARCHED)
            axes.set_title(f"{name}: Kendall's tau {kendall(values, trained):.2f}", color=INK, fontsize=10, loc="left")
            axes.set_xlabel("with the supernet's weights", color=FAINT)
            plain(axes)
        panels[0].set_ylabel("trained by itself, M(q, g)", color=FAINT)

    return drawn(draw, (3.3 * len(rewards) + 0.4, 3.4), format)
