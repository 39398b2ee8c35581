"""Full int8 for LiteRT: every operator between the first and the last layer with weights.

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
from export.formats.litert import bias as litert_bias
from export.formats.litert import file as litert_file
from export.formats.litert.runtime import embed, interpreter
from export.precision.bias import shift
from export.precision.calibration import Calibration, Rows
from export.precision.choose import Choice, search
from export.precision.ranges import Histogram, channel_means, observe, ranges

_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")


def quantised(content: bytes, calibration: Calibration, goal: float) -> tuple[bytes, Quantisation]:
    """Return the int8 file that keeps most of retrieval, and its quantisation.

    Args:
        content: The float32 file, with plain names.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    return search(LiteRtQuantiser(content, calibration), calibration, goal)


class LiteRtQuantiser:
    """LiteRT's :class:`export.precision.choose.Quantiser`."""

    reduces_range = False

    def __init__(self, content: bytes, calibration: Calibration) -> None:
        self.content = content
        self.calibration = calibration
        model = litert_file.parse(content)
        (graph,) = model.subgraphs
        self._biased = litert_bias.biased_layers(model)
        self._ranks = {_text(tensor.name): len(tensor.shape) for tensor in graph.tensors}
        kinds = [litert_file.operator_name(model, operator) for operator in graph.operators]
        names = [_text(graph.tensors[operator.outputs[0]].name) for operator in graph.operators]
        weighted = [place for place, kind in enumerate(kinds) if kind in _WITH_WEIGHTS]
        inside = range(weighted[0], weighted[-1] + 1) if weighted else range(0)
        self.outside = [name for place, name in enumerate(names) if place not in inside]
        self.layers = tuple(names[place] for place in weighted)
        # Kept for the duration of a search: each is needed by several choices.
        self._histograms = cache(self._observe)
        self._means = cache(self._average)
        self._rounding = cache(self._errors)

    def quantise(self, choice: Choice, rows: Rows) -> bytes:
        """Quantise; the result is deterministic."""
        content = self._with_corrected_biases(choice, rows) if choice.bias_correction else self.content
        return litert_file.compacted(self._quantised(content, choice, rows))

    def _quantised(self, content: bytes, choice: Choice, rows: Rows) -> bytes:
        from ai_edge_quantizer import qtyping, quantizer
        from ai_edge_quantizer.algorithm_manager import AlgorithmName

        tool: Any = quantizer.Quantizer(bytearray(content))
        for kind, granularity in granularities(choice.scales):
            tool.add_static_config(
                regex=".*",
                operation_name=kind,
                activation_num_bits=8,
                weight_num_bits=8,
                weight_granularity=granularity,
            )
        # Plain names begin with the operator's number, so that a prefix means one operator.
        for name in (*self.outside, *choice.float_layers):
            tool.update_quantization_recipe(
                regex=f"^{name}",
                operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
                algorithm_key=AlgorithmName.NO_QUANTIZE,
            )
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            tool.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key=AlgorithmName.NO_QUANTIZE)
        # Of the tensor's rank, as the tool's own: by them it rounds a constant that is joined to the tensor.
        limits = {
            name: {
                end: np.full((1,) * self._ranks[name], value, np.float32)
                for end, value in zip(("min", "max"), limits, strict=True)
            }
            for name, limits in ranges(self._histograms(tuple(rows.tolist())), choice.calibrator).items()
        }
        return bytes(tool.quantize(limits).quantized_model)

    def embed(self, content: bytes, rows: Rows) -> Float32[np.ndarray, "q d"]:
        """Embed with LiteRT on this machine."""
        return embed(content, self.calibration.retrieval.images[rows])

    def _with_corrected_biases(self, choice: Choice, rows: Rows) -> bytes:
        """Give every layer with a bias and rounded weights its own bias, which compensates their shift."""
        errors, means = self._rounding(choice.scales), self._means(tuple(rows.tolist()))
        shifts = {
            layer.name: shift(errors[layer.name], means[layer.input])
            for layer in self._biased
            if layer.name in errors and layer.input in means and layer.name not in choice.float_layers
        }
        return litert_bias.with_shifted_biases(self.content, shifts)

    def _errors(self, scales: Scales) -> dict[str, NDArray[np.float64]]:
        """Return, by layer, rounded weights less real ones, output channels first."""
        rounded = litert_file.parse(self._quantised(self.content, Choice(scales=scales), self.calibration.range_rows))
        weights = litert_bias.int8_weights(rounded)
        return {
            layer.name: layer.channels_first(weights[layer.weights_name]) - layer.channels_first(layer.weights)
            for layer in self._biased
            if layer.weights_name in weights
        }

    def _observe(self, rows: tuple[int, ...]) -> dict[str, Histogram]:
        return observe(lambda: self._activations(np.array(rows)))

    def _average(self, rows: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
        """Return the mean of every channel of the inputs of layers with a bias."""
        return channel_means(self._activations(np.array(rows)), {layer.input for layer in self._biased}, axis=-1)

    def _activations(self, rows: Rows) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Yield every computed float tensor, for one calibration image after another."""
        reader = interpreter(self.content, experimental_preserve_all_tensors=True)
        reader.allocate_tensors()
        (input_details,) = reader.get_input_details()
        computed = {int(output) for operator in reader._get_ops_details() for output in operator["outputs"]}
        watched = [
            (one["name"], one["index"])
            for one in reader.get_tensor_details()
            if one["index"] in computed and one["dtype"] == np.float32
        ]
        for image in self.calibration.retrieval.images[rows]:
            reader.set_tensor(input_details["index"], image[None])
            reader.invoke()
            yield {name: reader.get_tensor(index) for name, index in watched}


def granularities(scales: Scales) -> list[tuple[Any, Any]]:
    """Return kinds of operators, in the quantiser's terms, with the granularity of their scales; later ones prevail."""
    from ai_edge_quantizer import qtyping

    kind, granularity = qtyping.TFLOperationName, qtyping.QuantGranularity
    fewest = granularity.CHANNELWISE if scales == "channel" else granularity.TENSORWISE
    kinds = [(kind.ALL_SUPPORTED, fewest)]
    return [*kinds, (kind.DEPTHWISE_CONV_2D, granularity.CHANNELWISE)] if scales == "depthwise" else kinds


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else name
