"""Which operators a format can have: some are written out before its converter sees them, others refused by name."""

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
    """What a format's converter gets wrong or does not know.

    Attributes:
        format: The format's name.
        rewrites: By operator: how it is written out.
        refusals: By operator: why it is refused.
        unknown: How the converter says that it does not know an operator, whose name is the group ``operator``; None
            where it is not known.
    """

    format: str
    rewrites: Mapping[Any, Rewrite] = field(default_factory=lambda: EVERYWHERE)
    refusals: Mapping[Any, str] = field(default_factory=dict[Any, str])
    unknown: re.Pattern[str] | None = None


def convertible(program: ExportedProgram, rules: Rules) -> ExportedProgram:
    """A graph as a format's converter is to see it: what the converter gets wrong is written out.

    Raises:
        ExportError: When there are operators that the format cannot have; with all of them, their modules and reasons.
    """
    program = without_hidden(program, rules)
    if found := refused(program, rules):
        raise ExportError(
            f"{rules.format} cannot have these operators of the model:",
            [f"{_place(node)}: {why}" for node, why in found],
        )
    return rewritten(program, rules.rewrites)


def refused(program: ExportedProgram, rules: Rules) -> list[tuple[Node, str]]:
    """Operators that a format cannot have, and why."""
    reasons = rules.refusals
    return [(node, reasons[node.target]) for node in program.graph.nodes if node.target in reasons]


def without_hidden(program: ExportedProgram, rules: Rules) -> ExportedProgram:
    """The graph without writing in place, where that hides an operator that matters: ``log_`` is ``log``."""
    known = rules.refusals.keys() | rules.rewrites.keys()
    hidden = any(_out_of_place(node.target) in known for node in program.graph.nodes)
    return program.run_decompositions({}) if hidden else program


def _out_of_place(target: Any) -> Any:
    """The operator that gives what another writes; None for any other."""
    if (schema := schema_of(target)) is None or not schema.is_mutable:
        return None
    namespace, _, name = schema.name.partition("::")
    packet = getattr(getattr(torch.ops, namespace), name.removesuffix("_"), None)
    return getattr(packet, schema.overload_name or "default", None)


@contextmanager
def named_refusals(rules: Rules) -> Generator[None]:
    """Say which operator a converter does not know, in place of its own report.

    Raises:
        ExportError: With the operator's name.
    """
    try:
        yield
    except Exception as error:  # converters raise all kinds
        named = rules.unknown.search(str(error)) if rules.unknown else None
        if named is None:
            raise
        raise ExportError(
            f"{rules.format} cannot have an operator of the model: {named['operator']}: {UNKNOWN}"
        ) from error


def _place(node: Node) -> str:
    where = module_of(node)
    return f"{node.target} ({node.name}{', in ' + where if where else ''})"
