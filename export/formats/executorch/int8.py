"""Full int8 for ExecuTorch: torch's PT2E quantisation of what XNNPACK computes in int8.

Between the first and the last layer with weights; the parts before (pixels to normalised values) and after (the L2
norm) stay in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch.fx import GraphModule, Node

from export.bundle.quantisation import Quantisation, Scales
from export.formats.executorch.rounding import Recorder, RoundingGraph, constant, observed
from export.precision.bias import shift
from export.precision.calibration import Calibration, Rows
from export.precision.choose import Choice, search
from export.precision.ranges import Histogram, channel_means, observe, ranges

_aten: Any = torch.ops.aten
_CONVOLUTIONS = (_aten.conv2d.default, _aten.convolution.default)
_CORRECTED = (*_CONVOLUTIONS, _aten.linear.default)
_WITH_WEIGHTS = (*_CORRECTED, _aten.conv_transpose2d.input)
_CLAMPS = (
    _aten.clamp.default,
    _aten.clamp_.default,
    _aten.hardtanh.default,
    _aten.hardtanh_.default,
    _aten.relu6.default,
    _aten.relu6_.default,
)
_LEAST_SCALE = 2.0**-20
"""The plain tools' own, 2 ** -12, leaves small weights few levels."""


def quantised(
    program: Any, metadata: Mapping[str, str], calibration: Calibration, goal: float
) -> tuple[bytes, Quantisation]:
    """Return the int8 file that keeps most of retrieval, and its quantisation.

    Args:
        program: The ``torch.export.ExportedProgram``.
        metadata: The contract.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    graph, quantisation = search(ExecuTorchQuantiser(program, calibration), calibration, goal)
    return graph.lowered(program.example_inputs[0][0], metadata), quantisation


class ExecuTorchQuantiser:
    """ExecuTorch's :class:`export.precision.choose.Quantiser`."""

    reduces_range = False

    def __init__(self, program: Any, calibration: Calibration) -> None:
        self.calibration = calibration
        self._module: GraphModule = program.module(check_guards=False)
        nodes = [node for node in self._module.graph.nodes if node.op == "call_function"]
        weighted = [place for place, node in enumerate(nodes) if node.target in _WITH_WEIGHTS]
        inside = nodes[weighted[0] : weighted[-1] + 1] if weighted else []
        self._inside = {node.name for node in inside}
        self.layers = tuple(nodes[place].name for place in weighted)
        # The last alone: a graph holds all weights, and a choice of layers is measured once.
        self._prepared = lru_cache(maxsize=1)(self._prepare)
        # Kept for the duration of a search: each is needed by several choices.
        self._histograms = cache(self._observe)
        self._means = cache(self._average)

    def quantise(self, choice: Choice, rows: Rows) -> RoundingGraph:
        """Set ranges and correct biases; the result is deterministic."""
        made = RoundingGraph(copy.deepcopy(self._prepared(choice.scales, choice.float_layers)))
        limits = ranges(self._histograms(tuple(rows.tolist())), choice.calibrator)
        made.set_ranges(limits | {source: limits[clamp] for source, clamp in _clamped(made.graph)})
        if choice.bias_correction:
            self._correct_biases(made.graph, rows)
        return made

    def embed(self, content: RoundingGraph, rows: Rows) -> Float32[np.ndarray, "q d"]:
        """Embed in torch, which rounds as the file does."""
        return content.embed(self.calibration.retrieval.images[rows])

    def _prepare(self, scales: Scales, float_layers: tuple[str, ...]) -> GraphModule:
        """Return the graph with batch norms folded and observers for everything that becomes int8."""
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e
        from torchao.quantization.pt2e.quantizer import ComposableQuantizer

        quantiser = _xnnpack()

        def part(per_channel: bool) -> Any:
            def is_part(node: Node) -> bool:
                if node.op != "call_function":
                    return True
                inside = node.name in self._inside and node.name not in float_layers
                return inside and _has_own_scales(node, scales) == per_channel

            return quantiser().set_global(_settings(per_channel)).set_filter_function(is_part)

        graph = prepare_pt2e(copy.deepcopy(self._module), ComposableQuantizer([part(True), part(False)]))
        _release_graphs()
        return graph

    def _correct_biases(self, graph: GraphModule, rows: Rows) -> None:
        """Give every layer with a bias and rounded weights its own bias, which compensates their shift."""
        means = self._means(tuple(rows.tolist()))
        for layer in _correctable(graph):
            values, weights, bias = layer.args[:3]
            if values.args[0].name in means:
                error = _rounding(constant(weights.args[0]), graph.get_submodule(weights.target))
                constant(bias).sub_(torch.from_numpy(shift(error, means[values.args[0].name])))

    def _observe(self, rows: tuple[int, ...]) -> dict[str, Histogram]:
        return observe(lambda: self._activations(rows))

    def _average(self, rows: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
        """Return the mean of every channel of the inputs of layers whose bias can be corrected."""
        inputs = [layer.args[0].args[0] for layer in _correctable(self._prepared("channel", ()))]
        # The second axis is that of the channels: of maps, and of vectors.
        names = {node.name for node in inputs if node.meta["val"].ndim in (2, 4)}
        return channel_means(self._activations(rows), names, axis=1)

    def _activations(self, rows: tuple[int, ...]) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Yield every computed float tensor, for one calibration image after another."""
        # A copy, since observers change when they are run.
        graph = copy.deepcopy(self._prepared("channel", ()))
        for row in rows:
            recorder = Recorder(graph)
            with torch.no_grad():
                recorder.run(torch.from_numpy(self.calibration.retrieval.images[row : row + 1].copy()))
            yield recorder.values


def _clamped(graph: GraphModule) -> Iterator[tuple[str, str]]:
    """Yield rounded values that only a clamp reads, by name, and the clamp: what it cuts off needs no room.

    XNNPACK's quantiser knows that of ReLU, but not of ReLU6.
    """
    for observer, source, _ in observed(graph):
        readers = list(observer.users)
        if len(readers) == len(source.users) == 1 and readers[0].target in _CLAMPS:
            yield source.name, readers[0].name


def _release_graphs() -> None:
    """Let graphs be freed that nobody uses: torch and torchao keep every one whose device they were asked for."""
    from torch.ao.quantization.fx.utils import assert_and_get_unique_device
    from torchao.utils import _assert_and_get_unique_device  # pyright: ignore[reportPrivateUsage]

    for asked in (assert_and_get_unique_device, _assert_and_get_unique_device):
        asked.cache_clear()


@cache
def _xnnpack() -> Any:
    """Return XNNPACK's quantiser without its patterns of batch norms, which ``prepare_pt2e`` folds before.

    It exports each of those patterns anew whenever it is asked, which takes most of its time.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer

    class Quantizer(XNNPACKQuantizer):
        SUPPORTED_PATTERNS: ClassVar = [one for one in XNNPACKQuantizer.SUPPORTED_PATTERNS if "_bn" not in one.name]

    return Quantizer


def _settings(per_channel: bool) -> Any:
    """Return XNNPACK's settings, with observers that are told their ranges."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import get_symmetric_quantization_config
    from torchao.quantization.pt2e.observer import MinMaxObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationSpec
    from torchao.quantization.pt2e.quantizer.utils import QuantizationConfig

    def told(spec: Any, observer: Any) -> QuantizationSpec:
        fields = {name: getattr(spec, name) for name in ("dtype", "quant_min", "quant_max", "qscheme", "ch_axis")}
        return QuantizationSpec(observer_or_fake_quant_ctr=observer.with_args(eps=_LEAST_SCALE), **fields)

    plain = get_symmetric_quantization_config(is_per_channel=per_channel)
    values = told(plain.input_activation, MinMaxObserver)
    weights = told(plain.weight, PerChannelMinMaxObserver if per_channel else MinMaxObserver)
    return QuantizationConfig(values, values, weights, None)


def _has_own_scales(node: Node, scales: Scales) -> bool:
    """Return True if a layer's weights have a scale for every channel."""
    if scales == "depthwise":
        return node.target in _CONVOLUTIONS and _is_depthwise(node)
    return scales == "channel"


def _is_depthwise(node: Node) -> bool:
    weights: Any = node.args[1]
    outputs, per_group = weights.meta["val"].shape[:2]
    return per_group == 1 and outputs > 1


def _correctable(graph: GraphModule) -> Iterator[Any]:
    """Yield layers with a bias, rounded weights and rounded values."""
    for node in graph.graph.nodes:
        if node.target in _CORRECTED and len(node.args) > 2 and node.args[2] is not None:
            values, weights = node.args[:2]
            if values.op == weights.op == "call_module":
                yield node


def _rounding(weights: torch.Tensor, observer: Any) -> NDArray[np.float64]:
    """Return rounded weights less real ones, output channels first."""
    scale = observer.calculate_qparams()[0].double().reshape(-1, *[1] * (weights.ndim - 1))
    real = weights.double()
    return ((real / scale).round().clamp(observer.quant_min, observer.quant_max) * scale - real).numpy()
