"""Full int8 for ONNX: quantise/dequantise pairs around every layer between the first and the last one with weights.

The parts before (pixels to normalised values) and after (the L2 norm) stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from export.bundle.quantisation import Quantisation, Scales
from export.formats.onnx.compact import compact
from export.formats.onnx.runtime import embed, parse
from export.kinds.interface import INPUT
from export.precision.bias import dequantised, shift
from export.precision.calibration import Calibration, Rows
from export.precision.choose import Choice, search
from export.precision.measure import mean_angle
from export.precision.ranges import Histogram, channel_means, observe, ranges

_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PROBES = 8


def quantised(proto: Any, calibration: Calibration, goal: float) -> tuple[bytes, Quantisation]:
    """Return the int8 file that keeps most of retrieval, and its quantisation.

    Args:
        proto: The float32 ``onnx.ModelProto``.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    return search(OnnxQuantiser(proto, calibration), calibration, goal)


class OnnxQuantiser:
    """ONNX's :class:`export.precision.choose.Quantiser`."""

    reduces_range = True

    def __init__(self, proto: Any, calibration: Calibration) -> None:
        import onnx

        self.proto = _with_own_weights(onnx.shape_inference.infer_shapes(proto))
        self.calibration = calibration
        nodes = list(self.proto.graph.node)
        weighted = [place for place, node in enumerate(nodes) if node.op_type in _WITH_WEIGHTS]
        inside = range(weighted[0], weighted[-1] + 1) if weighted else range(0)
        self.outside = [node.name for place, node in enumerate(nodes) if place not in inside]
        self.layers = tuple(nodes[place].name for place in weighted)
        self._inputs = sorted({nodes[place].input[0] for place in weighted if _has_bias(nodes[place])})
        # Kept for the duration of a search: each is needed by several choices.
        self._histograms = cache(self._observe)
        self._means = cache(self._average)
        self._rounding = cache(self._errors)

    def quantise(self, choice: Choice, rows: Rows) -> bytes:
        """Insert the pairs; the result is deterministic."""
        proto = parse(self.proto.SerializeToString())
        if choice.bias_correction:
            self._correct_biases(proto, choice, rows)
        graph = self._with_pairs(proto, choice, rows)
        # The search compares sizes, which should be those of the shipped files.
        compact(graph)
        return graph.SerializeToString(deterministic=True)

    def _with_pairs(self, proto: Any, choice: Choice, rows: Rows) -> Any:
        """Return the quantised graph; ``proto`` is changed and cannot be used again."""
        from onnxruntime.quantization import CalibrationMethod, QuantType
        from onnxruntime.quantization.calibrate import TensorsData
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

        limits: dict[str, Any] = {
            name: (np.float32(low), np.float32(high))
            for name, (low, high) in ranges(self._histograms(tuple(rows.tolist())), choice.calibrator).items()
        }
        quantizer: Any = QDQQuantizer(
            proto,
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
        return quantizer.model.model

    def _without_channels(self, scales: Scales) -> dict[str, Any]:
        """Return weights with a single scale where others have one per channel."""
        from onnxruntime.quantization import QuantType

        if scales != "depthwise":
            return {}
        layers = [node for node in self.proto.graph.node if node.name in self.layers and not _is_depthwise(node)]
        constants = {constant.name for constant in self.proto.graph.initializer}
        weights = {name for node in layers for name in node.input[1:2]} & constants
        return {name: [{"quant_type": QuantType.QInt8}] for name in sorted(weights)}

    def embed(self, content: bytes, rows: Rows) -> Float32[np.ndarray, "q d"]:
        """Embed in a phone's arithmetic, and in this processor's if it saturates sums: the worse of both counts."""
        images, torch = self.calibration.retrieval.images[rows], self.calibration.torch[rows]
        exact = embed(content, images, exact=True)
        if np.array_equal(embed(content, images[:_PROBES]), exact[:_PROBES]):
            return exact
        return max(exact, embed(content, images), key=lambda vectors: mean_angle(vectors, torch))

    def _correct_biases(self, proto: Any, choice: Choice, rows: Rows) -> None:
        """Give every layer with a bias and rounded weights its own bias, which compensates their shift."""
        import onnx

        errors, means = self._rounding(choice.scales, choice.reduce_range), self._means(tuple(rows.tolist()))
        constants = {constant.name: constant for constant in proto.graph.initializer}
        for node in proto.graph.node:
            if node.name not in errors or node.input[0] not in means or node.name in choice.float_layers:
                continue
            bias = onnx.numpy_helper.to_array(constants[node.input[2]])
            corrected = bias - shift(errors[node.name], means[node.input[0]])
            name = f"{node.name}_corrected_bias"
            proto.graph.initializer.append(onnx.numpy_helper.from_array(corrected.astype(bias.dtype), name))
            node.input[2] = name

    def _errors(self, scales: Scales, reduce_range: bool) -> dict[str, NDArray[np.float64]]:
        """Return, by layer, rounded weights less real ones, output channels first."""
        import onnx

        choice = Choice(scales=scales, reduce_range=reduce_range)
        graph = self._with_pairs(parse(self.proto.SerializeToString()), choice, self.calibration.range_rows)
        rounded = _rounded_weights(graph)
        constants = {constant.name: constant for constant in self.proto.graph.initializer}
        errors: dict[str, NDArray[np.float64]] = {}
        for node in self.proto.graph.node:
            if _has_bias(node) and node.input[1] in rounded and node.input[2] in constants:
                error = rounded[node.input[1]] - onnx.numpy_helper.to_array(constants[node.input[1]])
                errors[node.name] = error if node.op_type == "Conv" or _attribute(node, "transB", 0) else error.T
        return errors

    def _observe(self, rows: tuple[int, ...]) -> dict[str, Histogram]:
        return observe(lambda: self._activations(np.array(rows)))

    def _average(self, rows: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
        """Return the mean of every channel of the inputs of layers with a bias."""
        return channel_means(self._activations(np.array(rows)), self._inputs, axis=1)

    def _activations(self, rows: Rows) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Yield every float tensor of the graph, for one calibration image after another."""
        import onnx
        import onnxruntime

        proto = parse(self.proto.SerializeToString())
        outputs = {output.name for output in proto.graph.output}
        computed = {name for node in proto.graph.node for name in node.output} - outputs
        floats = [
            value for value in proto.graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        ]
        proto.graph.output.extend([value for value in floats if value.name in computed])
        session: Any = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for image in self.calibration.retrieval.images[rows]:
            values = session.run(names, {INPUT: image[None]})
            yield {name: value for name, value in zip(names, values, strict=True) if value.size}


def _with_own_weights(proto: Any) -> Any:
    """Return the graph with a float constant for every operator that reads one, as int8 weights must be.

    Equal ones were stored once; what does not become int8 is so again in the file.
    """
    import onnx

    own, read = parse(proto.SerializeToString()), set[str]()
    constants = {one.name: one for one in own.graph.initializer if one.data_type == onnx.TensorProto.FLOAT}
    for node in own.graph.node:
        for place, name in enumerate(node.input):
            if name in read:
                copy = own.graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = node.input[place] = f"{name}_of_{node.name}_{place}"
            elif name in constants:
                read.add(name)
    return own


def _is_depthwise(node: Any) -> bool:
    return _attribute(node, "group", 1) > 1


def _has_bias(node: Any) -> bool:
    """True for a convolution or fully connected layer whose bias is added unscaled."""
    plain = node.op_type == "Conv" or (
        node.op_type == "Gemm" and not _attribute(node, "transA", 0) and _scaling(node) == (1.0, 1.0)
    )
    return plain and len(node.input) == 3


def _attribute(node: Any, name: str, default: int) -> int:
    return next((one.i for one in node.attribute if one.name == name), default)


def _scaling(node: Any) -> tuple[float, float]:
    factors = {one.name: one.f for one in node.attribute}
    return factors.get("alpha", 1.0), factors.get("beta", 1.0)


def _rounded_weights(quantised: Any) -> dict[str, NDArray[np.float64]]:
    """Return real values of a quantised graph's int8 weights, by the name of the float weights."""
    import onnx
    from onnxruntime.quantization.quant_utils import TENSOR_NAME_QUANT_SUFFIX

    constants = {constant.name: constant for constant in quantised.graph.initializer}
    rounded: dict[str, NDArray[np.float64]] = {}
    for node in quantised.graph.node:
        stored = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if stored is None or stored.data_type != onnx.TensorProto.INT8:
            continue
        values, scale = (onnx.numpy_helper.to_array(constants[name]) for name in node.input[:2])
        name = node.input[0].removesuffix(TENSOR_NAME_QUANT_SUFFIX)
        rounded[name] = dequantised(values, scale, _attribute(node, "axis", 1))
    return rounded
