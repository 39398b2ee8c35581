"""A model as a graph, which the converters read, so that any module is exported in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import Node

from export.capture.folding import fold_constants
from export.errors import ExportError

LARGEST_BATCH = 1024


def capture(module: nn.Module, example: Tensor, *, any_batch: bool = False) -> ExportedProgram:
    """Trace a module, with everything that depends on its weights alone computed once.

    Args:
        module: A module in evaluation mode with one tensor as input and one as output.
        example: uint8 [1, h, w, 3].
        any_batch: True to leave the first dimension open.

    Raises:
        ExportError: If the module cannot be traced; the message tells where.
    """
    # Two images, because a traced size of one would be taken as fixed.
    images = example.repeat(2, 1, 1, 1) if any_batch else example
    shapes: Any = ({0: Dim("batch", min=1, max=LARGEST_BATCH)},) if any_batch else None
    try:
        with torch.no_grad():
            program = torch.export.export(module, (images,), dynamic_shapes=shapes)
            folded: Any = program.module()
            return torch.export.export(folded, (images,), dynamic_shapes=shapes) if fold_constants(folded) else program
    except Exception as error:  # torch raises all kinds of exceptions, its own and the module's
        raise ExportError(f"the model cannot be captured as a graph: {str(error).strip()[:2000]}") from error


def module_of(node: Node) -> str:
    """Return the path of the module that an operator belongs to; empty at the top."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return next(reversed([path for path, _ in stack.values()]), "") if stack else ""


def save(program: ExportedProgram, path: Path) -> None:
    """Write a graph for another process."""
    torch.export.save(program, path)


def load(path: Path) -> ExportedProgram:
    """Read the graph of :func:`save`."""
    return torch.export.load(path)
