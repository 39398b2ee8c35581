"""The operators that LiteRT's GPU delegate takes.

From ``CheckGpuDelegateCompatibility`` in ``tflite/tools/versioning/gpu_compatibility.cc`` of google-ai-edge/LiteRT at
commit 007226f4, which the delegate itself asks on a phone. (LiteRT's model analyser should ask it, too, but in the
Python package, 2.3.0, it calls every file compatible.) Of the conditions only those that an image embedder may miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_TABLE = """
ABS ADD ADD_N ATAN2 AVERAGE_POOL_2D BATCH_MATMUL BITCAST CAST CEIL CONCATENATION CONV_2D COS CUMSUM DENSIFY
DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP FLOOR FLOOR_DIV
FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND
LOGICAL_NOT LOGICAL_OR LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD
PADV2 POW PRELU QUANTIZE REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RIGHT_SHIFT ROUND RSQRT SELECT SELECT_V2 SIGN SIN SLICE SOFTMAX
SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TOPK_V2 TRANSPOSE
TRANSPOSE_CONV
"""
TAKEN = frozenset(_TABLE.split())
"""Kinds of operators that it takes."""
_CASTS = {
    *((one, other) for one in ("FLOAT32", "INT32") for other in ("FLOAT32", "INT32")),
    *(("BOOL", one) for one in ("FLOAT16", "FLOAT32")),
    *((one, "BOOL") for one in ("FLOAT16", "FLOAT32")),
}
_OVER_AXES = {"MEAN", "SUM", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REVERSE_V2"}
_RANK = 4


@dataclass(frozen=True)
class Operand:
    """A tensor.

    Attributes:
        type: Name of its type in the schema, for instance ``FLOAT32``.
        rank: Number of its axes.
        constant: True if it is stored in the file.
    """

    type: str
    rank: int
    constant: bool


def refusal(kind: str, inputs: Sequence[Operand], outputs: Sequence[Operand]) -> str:
    """Return why the delegate leaves an operator to the processor; empty if it takes it."""
    if kind not in TAKEN:
        return "its table of operators does not list it"
    if any(operand.rank > _RANK for operand in (*inputs, *outputs)):
        return f"a tensor has more than {_RANK} axes"
    if kind == "CAST" and (inputs[0].type, outputs[0].type) not in _CASTS:
        return f"its input is {inputs[0].type.lower()}"
    if kind in _OVER_AXES and not (inputs[1].constant and inputs[1].type == "INT32"):
        return "its axes are not a constant of int32"
    return ""
