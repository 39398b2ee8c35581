"""Which format takes which precision: how it is made, what runs it at least, and why it is refused where it is.

What conversion, the command line, the model card and the documentation ask; each format says it in its record. Imports
nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence

from export.kinds.precision import PRECISIONS, Offer, Precision, Refusal
from export.kinds.registry import format_called, names
from hetero.errors import InputError


def offer(format: str, precision: Precision) -> Offer:
    """What a format says of a precision that it takes.

    Raises:
        InputError: When the format refuses the precision, with the reason.
    """
    entry = format_called(format).entry(precision)
    if isinstance(entry, Refusal):
        raise InputError(f"{format} {precision}: {entry.why}")
    return entry


def offered(formats: Sequence[str], precisions: Sequence[Precision]) -> list[tuple[str, Precision]]:
    """Every pair that the table offers, format by format, in the order asked for."""
    pairs: list[tuple[str, Precision]] = [(name, each) for name in formats for each in precisions]
    return [(name, each) for name, each in pairs if isinstance(format_called(name).entry(each), Offer)]


def refused(formats: Sequence[str], precisions: Sequence[Precision]) -> dict[tuple[str, Precision], str]:
    """Every pair that the table refuses, with the reason."""
    pairs: list[tuple[str, Precision]] = [(name, each) for name in formats for each in precisions]
    return {
        (name, each): entry.why for name, each in pairs if isinstance(entry := format_called(name).entry(each), Refusal)
    }


def selection_problems(formats: Sequence[str], precisions: Sequence[str]) -> list[str]:
    """What is wrong with a choice of formats and precisions: unknown names, repetitions, and what no format takes."""
    every = names()
    problems = [f"format {name!r}: expected one of {', '.join(every)}" for name in formats if name not in every]
    problems += [
        f"precision {name!r}: expected one of {', '.join(PRECISIONS)}" for name in precisions if name not in PRECISIONS
    ]
    if not formats or not precisions:
        problems.append("name at least one format and one precision")
    if len({*formats}) < len(formats) or len({*precisions}) < len(precisions):
        problems.append("a format or precision is named twice")
    if problems:
        return problems
    known = [name for name in every if name in formats]
    for precision in PRECISIONS:
        if precision in precisions and not offered(known, [precision]):
            reasons = refused(known, [precision])
            problems += [f"precision {precision}: {name} refuses it: {why}" for (name, _), why in reasons.items()]
    return problems
