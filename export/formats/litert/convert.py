"""LiteRT (TFLite), for Android and embedded Linux."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.bundle.quantisation import Quantisation, Scales
from export.formats.converter import ConversionJob
from export.formats.litert import file as litert_file
from export.formats.litert.int8 import granularities, quantised
from export.formats.litert.rules import RULES
from export.formats.litert.runtime import embed, interpreter
from export.kinds.interface import BYTE_SCALE, BYTE_ZERO, INPUT, OUTPUT, TensorEntry
from export.kinds.precision import Precision
from export.rewrites.operator_support import convertible, named_refusals
from hetero.files import write_bytes


class Prepared:
    """The float32 file, and the int8 file that two precisions share."""

    def __init__(self, program: Any, job: ConversionJob) -> None:
        import litert_torch
        import torch

        # A graph with an open batch cannot be lowered.
        image = torch.zeros((1, job.height, job.width, 3), dtype=torch.uint8)
        with named_refusals(RULES):
            converted: Any = litert_torch.convert(convertible(program, RULES).module(), (image,))
        self.job = job
        self.content = litert_file.with_plain_names(converted.model_content())

    @cached_property
    def int8(self) -> tuple[bytes, Quantisation]:
        """Return the int8 file and its quantisation, which is searched once."""
        return quantised(self.content, self.job.required_calibration, _goal(self.job))


def prepare(program: Any, job: ConversionJob) -> Prepared:
    """Convert to a float32 file with a batch of one."""
    return Prepared(program, job)


def write(prepared: Prepared, precision: Precision, out: Path) -> Quantisation | None:
    """Write one file."""
    content, quantisation = _PRECISIONS[precision](prepared)
    write_bytes(out, litert_file.described(content, prepared.job.metadata, INPUT, OUTPUT))
    return quantisation


def read_metadata(path: Path) -> dict[str, str]:
    """Return the JSON in the model's metadata entry ``hetero``."""
    return litert_file.read_metadata(path.read_bytes())


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    """Return input and output of the only signature."""
    reader = interpreter(path.read_bytes())
    ((key, names),) = reader.get_signature_list().items()
    (input_name,), (output_name,) = names["inputs"], names["outputs"]
    runner = reader.get_signature_runner(key)
    return _entry(input_name, runner.get_input_details()[input_name]), _entry(
        output_name, runner.get_output_details()[output_name]
    )


def run(path: Path, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with LiteRT's interpreter on the CPU; a quantised output is converted to float32."""
    return embed(path.read_bytes(), images)


def _half(prepared: Prepared) -> tuple[bytes, None]:
    from ai_edge_quantizer import qtyping, quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    tool: Any = quantizer.Quantizer(bytearray(prepared.content))
    tool.add_weight_only_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        num_bits=16,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    return bytes(tool.quantize().quantized_model), None


def _weights(precision: Precision) -> Callable[[Prepared], tuple[bytes, Quantisation | None]]:
    """Quantise weights to int8, with the fewest scales that agree as well, or one per channel if no image can tell."""

    def make(prepared: Prepared) -> tuple[bytes, Quantisation | None]:
        from export.precision.choose import search_weights

        calibration = prepared.job.calibration
        if calibration is None:
            return _int8_weights(prepared.content, precision, "channel"), None
        return search_weights(
            lambda scales: _int8_weights(prepared.content, precision, scales),
            lambda content: embed(content, calibration.queries),
            calibration,
            prepared.job.goals[precision],
        )

    return make


def _int8_weights(content: bytes, precision: Precision, scales: Scales) -> bytes:
    from ai_edge_quantizer import quantizer

    tool: Any = quantizer.Quantizer(bytearray(content))
    add = tool.add_dynamic_config if precision == "int8-dynamic" else tool.add_weight_only_config
    for kind, granularity in granularities(scales):
        add(regex=".*", operation_name=kind, num_bits=8, granularity=granularity)
    return litert_file.compacted(bytes(tool.quantize().quantized_model))


def _goal(job: ConversionJob) -> float:
    """Return the stricter goal of the precisions that share the int8 file."""
    return min(job.goals[each] for each in ("int8", "int8-uint8io") if each in job.goals)


def _int8(prepared: Prepared) -> tuple[bytes, Quantisation]:
    return prepared.int8


def _bytes_out(prepared: Prepared) -> tuple[bytes, Quantisation]:
    content, quantisation = prepared.int8
    return litert_file.with_byte_output(content, BYTE_SCALE, BYTE_ZERO), quantisation


_PRECISIONS: dict[Precision, Callable[[Prepared], tuple[bytes, Quantisation | None]]] = {
    "fp32": lambda prepared: (prepared.content, None),
    "fp16": _half,
    "int8-dynamic": _weights("int8-dynamic"),
    "int8-weights": _weights("int8-weights"),
    "int8": _int8,
    "int8-uint8io": _bytes_out,
}


def _entry(name: str, details: Any) -> TensorEntry:
    kinds: dict[str, Any] = {"uint8": "uint8", "float32": "float32"}
    scale, zero_point = details["quantization"]
    shape = tuple(int(side) for side in details["shape"])
    return TensorEntry(name, kinds[np.dtype(details["dtype"]).name], shape, float(scale), int(zero_point))
