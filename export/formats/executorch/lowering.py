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
    return bytes(edge.to_executorch().buffer)
