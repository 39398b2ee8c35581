"""Losses and gains in words, because a minus sign before a loss is easily misread."""

from __future__ import annotations

import math


def change_in_words(loss: float, *, digits: int = 4, percent: bool = False) -> str:
    """Write a change as ``loses 0.0210``, ``gains 14.38 %`` or ``no change``.

    Args:
        loss: Difference by which a figure is lower than its reference; negative for a gain.
        digits: Decimals. A change that they cannot show is no change.
        percent: True if ``loss`` is a share to be written in per cent.
    """
    if not math.isfinite(loss):
        return "unknown"
    size = _number(abs(loss), digits, percent)
    if not float(size):
        return "no change"
    return f"{'loses' if loss > 0 else 'gains'} {size}{' %' if percent else ''}"


def range_of_change(low: float, high: float, *, digits: int = 4, percent: bool = False) -> str:
    """Write the interval of a loss as that of the change: ``-0.0410 to +0.0100``, where a minus is a loss.

    Args:
        low: Lower end of the loss.
        high: Upper end of the loss.
        digits: Decimals.
        percent: True if the ends are shares to be written in per cent.
    """
    ends = [_signed(_number(-end, digits, percent)) for end in (high, low)]
    return f"{ends[0]} to {ends[1]}{' %' if percent else ''}"


def _number(value: float, digits: int, percent: bool) -> str:
    return f"{100 * value if percent else value:.{digits}f}"


def _signed(number: str) -> str:
    if not float(number):
        return number.lstrip("-")
    return number if number.startswith("-") else f"+{number}"
