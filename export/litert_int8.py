"""Full int8 for LiteRT: every operator between the first and the last layer with weights.

What comes before (pixels to normalised values) and after (the L2 norm) stays in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from export import litert, litert_file
from export.calibration import Calibration
from export.manifest import Quantisation
from export.ranges import Histogram, observe, ranges
from export.search import Choice, search

_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")


def quantised(content: bytes, calibration: Calibration, goal: float) -> tuple[bytes, Quantisation]:
    """The int8 file that loses least retrieval, and how it was made.

    Args:
        content: The float32 file, with plain names.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    return search(LiteRtQuantiser(content, calibration), calibration, goal)


class LiteRtQuantiser:
    """One format's :class:`export.search.Quantiser`."""

    reduces_range = False

    def __init__(self, content: bytes, calibration: Calibration) -> None:
        self.content = content
        self.calibration = calibration
        model = litert_file.parse(content)
        (graph,) = model.subgraphs
        kinds = [litert_file.operator_name(model, operator) for operator in graph.operators]
        names = [graph.tensors[operator.outputs[0]].name for operator in graph.operators]
        names = [name.decode() if isinstance(name, bytes) else name for name in names]
        weighted = [place for place, kind in enumerate(kinds) if kind in _WITH_WEIGHTS]
        inside = range(weighted[0], weighted[-1] + 1) if weighted else range(0)
        self.outside = [name for place, name in enumerate(names) if place not in inside]
        self.layers = tuple(names[place] for place in weighted)

    def quantise(self, choice: Choice) -> bytes:
        """Quantise; the result is deterministic."""
        from ai_edge_quantizer import qtyping, quantizer
        from ai_edge_quantizer.algorithm_manager import AlgorithmName

        made: Any = quantizer.Quantizer(bytearray(self.content))
        for kind, granularity in litert.granularities(choice.scales):
            made.add_static_config(
                regex=".*",
                operation_name=kind,
                activation_num_bits=8,
                weight_num_bits=8,
                weight_granularity=granularity,
            )
        # Plain names begin with the operator's number, so that a prefix means one operator.
        for name in (*self.outside, *choice.float_layers):
            made.update_quantization_recipe(
                regex=f"^{name}",
                operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
                algorithm_key=AlgorithmName.NO_QUANTIZE,
            )
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            made.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key=AlgorithmName.NO_QUANTIZE)
        limits = {
            name: {"min": np.array([[low]], np.float32), "max": np.array([[high]], np.float32)}
            for name, (low, high) in ranges(self._histograms, choice.calibrator).items()
        }
        return litert_file.compacted(bytes(made.quantize(limits).quantized_model))

    def embed(self, content: bytes) -> Float32[np.ndarray, "q d"]:
        """By LiteRT on this machine."""
        return litert.embed(content, self.calibration.queries)

    @cached_property
    def _histograms(self) -> dict[str, Histogram]:
        return observe(self._activations)

    def _activations(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Every computed float tensor, for one calibration image after another."""
        interpreter = litert.interpreter(self.content, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
        (taken,) = interpreter.get_input_details()
        computed = {int(output) for operator in interpreter._get_ops_details() for output in operator["outputs"]}
        watched = [
            (one["name"], one["index"])
            for one in interpreter.get_tensor_details()
            if one["index"] in computed and one["dtype"] == np.float32
        ]
        for image in self.calibration.range_images:
            interpreter.set_tensor(taken["index"], image[None])
            interpreter.invoke()
            yield {name: interpreter.get_tensor(index) for name, index in watched}
