"""The blocks of edge stages, by name. Needs no torch: a block is imported when a model is built.

A block is a class that is called with ``(inputs, outputs, stride, stage)`` and returns an ``nn.Module`` from
``[b, inputs, h, w]`` to ``[b, outputs, ceil(h / stride), ceil(w / stride)]``; ``stage`` is a
:class:`hetero.models.config.Stage`. Blocks of your own are named by an import string, ``module:class``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetero.errors import InputError
from hetero.named import named
from hetero.own_code import imported

BLOCKS: Mapping[str, str] = {
    "inverted_residual": "hetero.models.backbones.edge_blocks:InvertedResidual",
    "shuffle": "hetero.models.backbones.edge_blocks:ShuffleUnit",
}


def block_problem(kind: str) -> str:
    """Return the reason why there can be no block of this name; empty when there can."""
    module, _, name = kind.partition(":")
    if kind in BLOCKS or (module and name):
        return ""
    return f"unknown block {kind!r}: expected one of {', '.join(BLOCKS)}, or module:class"


def block_class(kind: str) -> Any:
    """Return the class or function that makes blocks of this name.

    Raises:
        InputError: When there is no such block, or it is a user's code and that is not allowed.
    """
    if problem := block_problem(kind):
        raise InputError(problem)
    if kind not in BLOCKS:
        return imported(kind, what="block")
    return named(BLOCKS[kind])
