"""Operators as ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from hetero.nas.cost.operators import Operator
from hetero.storage.scratch import scratch_folder


def files_of(operators: Sequence[Operator]) -> list[bytes]:
    """Convert operators, each by itself."""
    return [_file_of(operator) for operator in operators]


def _file_of(operator: Operator) -> bytes:
    import torch

    with scratch_folder("operator") as folder, torch.no_grad(), warnings.catch_warnings():
        # The exporter by tracing is deprecated for whole models; for one operator it makes the same nodes as the
        # other, in a hundredth of the time.
        warnings.simplefilter("ignore")
        out = folder / "operator.onnx"
        torch.onnx.export(operator.module.eval(), operator.examples, out, dynamo=False, opset_version=17)
        return out.read_bytes()
