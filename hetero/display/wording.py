"""Losses and gains in words: a minus sign before a loss reads as its opposite."""

from __future__ import annotations

import math


def change_in_words(loss: float, *, digits: int = 4, percent: bool = False) -> str:
    """``loses 0.0210``, ``gains 14.38 %`` or ``no change``.

    Args:
        loss: By how much a figure is lower than the one that it is held against; negative for a gain.
        digits: Decimals. What these cannot show is no change.
        percent: True if ``loss`` is a share, to be told in per cent.
    """
    if not math.isfinite(loss):
        return "unknown"
    size = _number(abs(loss), digits, percent)
    if not float(size):
        return "no change"
    return f"{'loses' if loss > 0 else 'gains'} {size}{' %' if percent else ''}"


def range_of_change(low: float, high: float, *, digits: int = 4, percent: bool = False) -> str:
    """The interval of a loss as that of the change: ``-0.0410 to +0.0100``, where a minus is a loss.

    Args:
        low: Lower end of the loss.
        high: Upper end of the loss.
        digits: Decimals.
        percent: True if the ends are shares, to be told in per cent.
    """
    ends = [_signed(_number(-end, digits, percent)) for end in (high, low)]
    return f"{ends[0]} to {ends[1]}{' %' if percent else ''}"


def _number(value: float, digits: int, percent: bool) -> str:
    return f"{100 * value if percent else value:.{digits}f}"


def _signed(number: str) -> str:
    if not float(number):
        return number.lstrip("-")
    return number if number.startswith("-") else f"+{number}"
