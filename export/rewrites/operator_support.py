"""Which operators a format can have: some are written out before its converter sees them, others refused by name."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from export.bundle.manifest import Format
from export.capture.folding import schema_of
from export.capture.program import module_of
from export.errors import ExportError
from export.rewrites import REWRITES, rewritten

_aten: Any = torch.ops.aten
_UNKNOWN = "its converter does not know it"
_FAILS = "its converter fails on it"
_UNCHECKED = "it has no meaning that could be checked without Apple's runtime"

REFUSALS: Mapping[Format, Mapping[Any, str]] = {
    "onnx": {
        _aten.cdist.default: _UNKNOWN,
        _aten.fmax.default: _UNKNOWN,
        _aten.median.dim: _UNKNOWN,
        _aten.sinc.default: "pi times its argument has no digits left in float16",
    },
    "litert": {
        _aten.argsort.default: _FAILS,
        _aten.avg_pool3d.default: _FAILS,
        _aten.bilinear.default: _FAILS,
        _aten.bucketize.Tensor: _UNKNOWN,
        _aten.col2im.default: _FAILS,
        _aten.erfc.default: _UNKNOWN,
        _aten.fmax.default: _UNKNOWN,
        _aten.median.dim: _UNKNOWN,
        _aten.one_hot.default: _FAILS,
        _aten.scatter_add.default: _FAILS,
        _aten.sort.default: _FAILS,
        _aten.topk.default: _FAILS,
        _aten.unfold.default: _FAILS,
    },
    "coreml": {
        _aten.acosh.default: _FAILS,
        _aten.asinh.default: _FAILS,
        _aten.bilinear.default: _UNKNOWN,
        _aten.bucketize.Tensor: _UNKNOWN,
        _aten.cdist.default: _UNKNOWN,
        _aten.diagonal.default: _FAILS,
        _aten.erfc.default: _UNKNOWN,
        _aten.fmax.default: _UNKNOWN,
        _aten.fmod.Scalar: _UNKNOWN,
        _aten.grid_sampler.default: _UNCHECKED,
        _aten.heaviside.default: _UNKNOWN,
        _aten.isinf.default: _UNKNOWN,
        _aten.logit.default: _UNKNOWN,
        _aten.median.dim: _UNKNOWN,
        _aten.remainder.Scalar: "its converter goes through a quotient that float16 cannot hold",
        _aten.rot90.default: _UNKNOWN,
        _aten.scatter_add.default: _UNCHECKED,
        _aten.sinc.default: _UNKNOWN,
        _aten.unfold.default: _UNKNOWN,
        _aten.xlogy.Tensor: _UNKNOWN,
    },
}
"""By format and operator: why it is refused."""

_NAMED = re.compile(
    r"No ONNX function found for <OpOverload\(op='(?P<onnx>[\w.]+)'"
    r"|Lowering not found: (?P<litert>[\w.]+)"
    r"|convert function for op '(?P<coreml>\w+)' not implemented"
)
"""How converters say that they do not know an operator."""


def convertible(program: ExportedProgram, format: Format) -> ExportedProgram:
    """A graph as a format's converter is to see it: what the converter gets wrong is written out.

    Raises:
        ExportError: When there are operators that the format cannot have; with all of them, their modules and reasons.
    """
    program = without_hidden(program, format)
    if found := refused(program, format):
        raise ExportError(
            f"{format} cannot have these operators of the model:", [f"{_place(node)}: {why}" for node, why in found]
        )
    return rewritten(program, REWRITES[format])


def refused(program: ExportedProgram, format: Format) -> list[tuple[Node, str]]:
    """Operators that a format cannot have, and why."""
    reasons = REFUSALS[format]
    return [(node, reasons[node.target]) for node in program.graph.nodes if node.target in reasons]


def without_hidden(program: ExportedProgram, format: Format) -> ExportedProgram:
    """The graph without writing in place, where that hides an operator that matters: ``log_`` is ``log``."""
    known = REFUSALS[format].keys() | REWRITES[format].keys()
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
def named_refusals(format: Format) -> Generator[None]:
    """Say which operator a converter does not know, in place of its own report.

    Raises:
        ExportError: With the operator's name.
    """
    try:
        yield
    except Exception as error:  # converters raise all kinds
        named = _NAMED.search(str(error))
        if named is None:
            raise
        operator = next(name for name in named.groups() if name)
        raise ExportError(f"{format} cannot have an operator of the model: {operator}: {_UNKNOWN}") from error


def _place(node: Node) -> str:
    where = module_of(node)
    return f"{node.target} ({node.name}{', in ' + where if where else ''})"
