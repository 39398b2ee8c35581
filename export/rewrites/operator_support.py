"""The operators that a format supports: some are rewritten before its converter sees them, others refused by name."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from export.capture.folding import schema_of
from export.capture.program import module_of
from export.errors import ExportError
from export.rewrites import EVERYWHERE, Rewrite, rewritten

UNKNOWN = "its converter does not know it"
FAILS = "its converter fails on it"


@dataclass(frozen=True)
class Rules:
    """The operators that a format's converter gets wrong or does not know.

    Attributes:
        format: The format's name.
        rewrites: Rewrites by operator.
        refusals: Reasons for refusals, by operator.
        unknown: Pattern of the converter's message about an unknown operator, whose name is the group ``operator``;
            None if there is no such pattern.
    """

    format: str
    rewrites: Mapping[Any, Rewrite] = field(default_factory=lambda: EVERYWHERE)
    refusals: Mapping[Any, str] = field(default_factory=dict[Any, str])
    unknown: re.Pattern[str] | None = None


def convertible(program: ExportedProgram, rules: Rules) -> ExportedProgram:
    """Return a graph for a format's converter, with operators rewritten that it gets wrong.

    Raises:
        ExportError: If there are operators that the format cannot have; with all of them, their modules and reasons.
    """
    program = without_hidden(program, rules)
    if refusals := refused(program, rules):
        raise ExportError(
            f"{rules.format} cannot have these operators of the model:",
            [f"{_place(node)}: {why}" for node, why in refusals],
        )
    return rewritten(program, rules.rewrites)


def refused(program: ExportedProgram, rules: Rules) -> list[tuple[Node, str]]:
    """Return the operators that a format cannot have, and the reasons."""
    reasons = rules.refusals
    return [(node, reasons[node.target]) for node in program.graph.nodes if node.target in reasons]


def without_hidden(program: ExportedProgram, rules: Rules) -> ExportedProgram:
    """Return the graph without in-place operators, if they hide an operator with a rule: ``log_`` is ``log``."""
    ruled = rules.refusals.keys() | rules.rewrites.keys()
    hidden = any(_out_of_place(node.target) in ruled for node in program.graph.nodes)
    return program.run_decompositions({}) if hidden else program


def _out_of_place(target: Any) -> Any:
    """Return the operator without the in-place effect of another; None for any other."""
    if (schema := schema_of(target)) is None or not schema.is_mutable:
        return None
    namespace, _, name = schema.name.partition("::")
    packet = getattr(getattr(torch.ops, namespace), name.removesuffix("_"), None)
    return getattr(packet, schema.overload_name or "default", None)


@contextmanager
def named_refusals(rules: Rules) -> Generator[None]:
    """Name the operator that a converter does not know, in place of the converter's own report.

    Raises:
        ExportError: With the operator's name.
    """
    try:
        yield
    except Exception as error:  # converters raise all kinds of exceptions
        match = rules.unknown.search(str(error)) if rules.unknown else None
        if match is None:
            raise
        raise ExportError(
            f"{rules.format} cannot have an operator of the model: {match['operator']}: {UNKNOWN}"
        ) from error


def _place(node: Node) -> str:
    path = module_of(node)
    return f"{node.target} ({node.name}{', in ' + path if path else ''})"
