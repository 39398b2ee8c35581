"""A mistake in a LiteRT file."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from device_tests.faults.variants import Change
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle
from hetero.errors import InputError


def with_scales_a_channel(bundle: Bundle, entry: ModelEntry) -> Change:
    """Replace the dynamic-range file by the current quantiser's default, with a scale for every channel of every layer.

    Current runtimes read it; tflite-runtime 2.14 misreads it without an error.

    Args:
        bundle: The bundle, with the fp32 file to start from.
        entry: The model that is replaced.

    Raises:
        InputError: If there is no fp32 file, or the quantiser is not installed.
    """
    whole = bundle.model("litert")
    if whole is None:
        raise InputError("the bundle holds no litert fp32 file to quantise")
    try:
        from ai_edge_quantizer import qtyping, quantizer
    except ImportError:
        raise InputError("breaking a LiteRT file on purpose needs ai-edge-quantizer: hetero[export]") from None
    content = bundle.file(whole).read_bytes()

    def change(copy: Path) -> None:
        tool: Any = quantizer.Quantizer(bytearray(content))
        kinds, granularity = qtyping.TFLOperationName, qtyping.QuantGranularity
        tool.add_dynamic_config(
            regex=".*", operation_name=kinds.ALL_SUPPORTED, num_bits=8, granularity=granularity.CHANNELWISE
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints sizes and times
            (copy / entry.file).write_bytes(bytes(tool.quantize().quantized_model))

    return change
