"""Full int8 for ONNX: quantise/dequantise pairs around every layer between the first and the last one with weights.

What comes before (pixels to normalised values) and after (the L2 norm) stays in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from export import onnx as float_format
from export.calibration import Calibration
from export.manifest import Quantisation, Scales
from export.onnx_compact import compact
from export.ranges import Histogram, observe, ranges
from export.search import Choice, search

_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PROBES = 8


def quantised(proto: Any, calibration: Calibration, goal: float) -> tuple[bytes, Quantisation]:
    """The int8 file that loses least retrieval, and how it was made.

    Args:
        proto: The float32 ``onnx.ModelProto``.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    return search(OnnxQuantiser(proto, calibration), calibration, goal)


class OnnxQuantiser:
    """One format's :class:`export.search.Quantiser`."""

    reduces_range = True

    def __init__(self, proto: Any, calibration: Calibration) -> None:
        import onnx

        self.proto = onnx.shape_inference.infer_shapes(proto)
        self.calibration = calibration
        nodes = list(self.proto.graph.node)
        weighted = [place for place, node in enumerate(nodes) if node.op_type in _WITH_WEIGHTS]
        inside = range(weighted[0], weighted[-1] + 1) if weighted else range(0)
        self.outside = [node.name for place, node in enumerate(nodes) if place not in inside]
        self.layers = tuple(nodes[place].name for place in weighted)

    def quantise(self, choice: Choice) -> bytes:
        """Insert the pairs; the result is deterministic."""
        from onnxruntime.quantization import CalibrationMethod, QuantType
        from onnxruntime.quantization.calibrate import TensorsData
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

        limits: dict[str, Any] = {
            name: (np.float32(low), np.float32(high))
            for name, (low, high) in ranges(self._histograms, choice.calibrator).items()
        }
        quantizer: Any = QDQQuantizer(
            float_format.parse(self.proto.SerializeToString()),
            per_channel=choice.scales != "tensor",
            reduce_range=choice.reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, limits),
            nodes_to_quantize=[],
            nodes_to_exclude=[*self.outside, *choice.float_layers],
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry}),
            extra_options={"TensorQuantOverrides": self._without_channels(choice.scales)},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        made = quantizer.model.model
        # The search compares sizes, and ought to compare those that ship.
        compact(made)
        return made.SerializeToString(deterministic=True)

    def _without_channels(self, scales: Scales) -> dict[str, Any]:
        """Weights that have one scale although others have one a channel."""
        from onnxruntime.quantization import QuantType

        if scales != "depthwise":
            return {}
        layers = [node for node in self.proto.graph.node if node.name in self.layers and not _is_depthwise(node)]
        constants = {constant.name for constant in self.proto.graph.initializer}
        weights = {name for node in layers for name in node.input[1:2]} & constants
        return {name: [{"quant_type": QuantType.QInt8}] for name in sorted(weights)}

    def embed(self, content: bytes) -> Float32[np.ndarray, "q d"]:
        """By ONNX Runtime as a phone adds up, or as this processor does when it cuts sums off: the worse of both."""
        images = self.calibration.queries
        exact = float_format.embed(content, images, exact=True)
        if self._cuts_off(content, exact):
            here = float_format.embed(content, images)
            return min((exact, here), key=self.calibration.figure)
        return exact

    def _cuts_off(self, content: bytes, exact: Float32[np.ndarray, "q d"]) -> bool:
        probes = self.calibration.queries[:_PROBES]
        return not np.array_equal(float_format.embed(content, probes), exact[:_PROBES])

    @cached_property
    def _histograms(self) -> dict[str, Histogram]:
        return observe(self._activations)

    def _activations(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Every float tensor of the graph, for one calibration image after another."""
        import onnx
        import onnxruntime

        proto = float_format.parse(self.proto.SerializeToString())
        given = {output.name for output in proto.graph.output}
        computed = {name for node in proto.graph.node for name in node.output} - given
        floats = [
            value for value in proto.graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        ]
        proto.graph.output.extend([value for value in floats if value.name in computed])
        session: Any = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for image in self.calibration.range_images:
            values = session.run(names, {float_format.INPUT: image[None]})
            yield {name: value for name, value in zip(names, values, strict=True) if value.size}


def _is_depthwise(node: Any) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
