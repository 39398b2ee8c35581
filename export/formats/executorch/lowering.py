"""From a graph of torch to a file: as much as possible to XNNPACK, the rest to ExecuTorch's own kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.formats.executorch.description import METHOD
from hetero.files import canonical_json


def lowered(program: Any, metadata: Mapping[str, str]) -> bytes:
    """Return a file; the result is deterministic.

    Args:
        program: A ``torch.export.ExportedProgram``, which is not changed.
        metadata: The contract, which the method :data:`~export.formats.executorch.description.METHOD` returns as JSON.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge: Any = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()], constant_methods={METHOD: canonical_json(dict(metadata))}
    )
    made: Any = edge.to_executorch()
    _require_kernels(made.executorch_program)
    return bytes(made.buffer)


def _require_kernels(program: Any) -> None:
    """Refuse what lowering leaves to kernels that the runtime lacks: such a file would only fail to load."""
    from export.formats.executorch.runtime import kernels

    known = kernels()
    for operator in (one for method in program.execution_plan for one in method.operators):
        name = f"{operator.name}.{operator.overload}" if operator.overload else operator.name
        if name not in known:
            raise RuntimeError(f"no kernel for {name}")
