"""The precisions of each format: how each is made, its least runtime, and the reasons for refusals.

A common source for conversion, the command line, the model card and the documentation, from each format's record.
Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence

from export.kinds.precision import PRECISIONS, Offer, Precision, Refusal
from export.kinds.registry import format_called, names
from hetero.errors import InputError


def offer(format: str, precision: Precision) -> Offer:
    """Return a format's offer of a precision.

    Raises:
        InputError: If the format refuses the precision, with the reason.
    """
    entry = format_called(format).entry(precision)
    if isinstance(entry, Refusal):
        raise InputError(f"{format} {precision}: {entry.why}")
    return entry


def offered(formats: Sequence[str], precisions: Sequence[Precision]) -> list[tuple[str, Precision]]:
    """Return every pair that the table offers, format by format, in the given order."""
    pairs: list[tuple[str, Precision]] = [(name, each) for name in formats for each in precisions]
    return [(name, each) for name, each in pairs if isinstance(format_called(name).entry(each), Offer)]


def refused(formats: Sequence[str], precisions: Sequence[Precision]) -> dict[tuple[str, Precision], str]:
    """Return every pair that the table refuses, with the reason."""
    pairs: list[tuple[str, Precision]] = [(name, each) for name in formats for each in precisions]
    return {
        (name, each): entry.why for name, each in pairs if isinstance(entry := format_called(name).entry(each), Refusal)
    }


def selection_problems(formats: Sequence[str], precisions: Sequence[str]) -> list[str]:
    """Return problems of a choice of formats and precisions: unknown names, repetitions, and unsupported precisions."""
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
    known_formats = [name for name in every if name in formats]
    for precision in PRECISIONS:
        if precision in precisions and not offered(known_formats, [precision]):
            reasons = refused(known_formats, [precision])
            problems += [f"precision {precision}: {name} refuses it: {why}" for (name, _), why in reasons.items()]
    return problems
