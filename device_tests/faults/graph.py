"""Mistakes in an ONNX graph, with everything else unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hetero.errors import InputError
from hetero.preprocessing import Preprocessing

Edit = Callable[[Any], None]
"""A change of a ModelProto in place."""

_SEED = 0


def edited(path: Path, edit: Edit) -> None:
    """Rewrite an ONNX file with a mistake in it.

    Raises:
        InputError: If the library that writes ONNX is missing.
    """
    try:
        import onnx
    except ImportError:
        raise InputError("breaking a bundle on purpose needs onnx: pip install 'hetero[export]'") from None
    model = onnx.load(path)
    edit(model)
    onnx.save(model, path)


def swap_channels(model: Any) -> None:
    """Read BGR from RGB input."""
    from onnx import helper, numpy_helper

    order = numpy_helper.from_array(np.array([2, 1, 0]), "fault_order")
    model.graph.initializer.append(order)
    _before_everything(
        model, lambda source, result: [helper.make_node("Gather", [source, "fault_order"], [result], axis=3)]
    )


def shift_pixels(model: Any) -> None:
    """Use another mean and standard deviation: 0.45 and 0.55 instead of 0.5 and 0.5."""
    scale = 0.5 / 0.55
    shift = 255 * (0.5 - 0.45) * scale + 255 * 0.5 * (1 - scale)
    _recompute_pixels(model, np.full(3, scale), np.full(3, shift))


def turn_upside_down(model: Any) -> None:
    """Turn images upside down, as if the reduced file came from another graph than the float32 file."""
    from onnx import helper, numpy_helper

    rows = int(model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)
    model.graph.initializer.append(numpy_helper.from_array(np.arange(rows)[::-1].copy(), "fault_rows"))
    _before_everything(
        model, lambda source, result: [helper.make_node("Gather", [source, "fault_rows"], [result], axis=1)]
    )


def limited_pixels(images: UInt8[np.ndarray, "n h w 3"]) -> Edit:
    """Limit pixels to 16 to 235, as in video.

    Raises:
        InputError: If no image has others, so that nothing changes.
    """
    low, high = 16, 235
    if images.min() >= low and images.max() <= high:
        raise InputError(f"no golden image has a pixel below {low} or above {high}")
    return lambda model: _recompute_pixels(model, np.ones(3), np.zeros(3), low=low, high=high)


def unnormalised(contract: Preprocessing) -> Edit:
    """Pass pixels to the network as fractions of 255, without the mean and the standard deviation.

    Raises:
        InputError: If the contract has none to leave out.
    """
    mean, std = np.array(contract.mean), np.array(contract.std)
    if not mean.any() and (std == 1).all():
        raise InputError("the contract neither shifts nor scales pixels: there is no normalisation to leave out")
    return lambda model: _recompute_pixels(model, std, 255 * mean)


def _recompute_pixels(
    model: Any, scale: np.ndarray, shift: np.ndarray, *, low: float = 0.0, high: float = 255.0
) -> None:
    """Scale and shift each channel, keep it within limits, and round down to bytes again."""
    from onnx import TensorProto, helper, numpy_helper

    numbers = {"scale": scale, "shift": shift, "low": np.array(low), "high": np.array(high)}
    for name, value in numbers.items():
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), f"fault_{name}"))

    def nodes(source: str, result: str) -> list[Any]:
        return [
            helper.make_node("Cast", [source], ["fault_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["fault_float", "fault_scale"], ["fault_scaled"]),
            helper.make_node("Add", ["fault_scaled", "fault_shift"], ["fault_shifted"]),
            helper.make_node("Clip", ["fault_shifted", "fault_low", "fault_high"], ["fault_clipped"]),
            helper.make_node("Cast", ["fault_clipped"], [result], to=TensorProto.UINT8),
        ]

    _before_everything(model, nodes)


def perturb_every_layer(model: Any) -> None:
    """Change every weight of every layer by about 5 %, as in an earlier checkpoint's file."""
    from onnx import numpy_helper

    random = np.random.default_rng(_SEED)
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype == np.float32 and values.ndim >= 2:
            noise = random.normal(1, 0.05, values.shape).astype(np.float32)
            item.CopyFrom(numpy_helper.from_array(values * noise, item.name))


def rotate_scales(model: Any) -> None:
    """Read each channel's weights with its neighbour's scale, or with the next layer's."""
    from onnx import numpy_helper

    constants = {item.name: item for item in model.graph.initializer}
    readers = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants]
    weights = [node for node in readers if len(constants[node.input[0]].dims) > 1]
    channels = [constants[node.input[1]] for node in weights if int(np.prod(constants[node.input[1]].dims)) > 1]
    for item in channels:
        item.CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(item), 1), item.name))
    if not channels:
        scales = [node.input[1] for node in weights]
        for node, scale in zip(weights, [*scales[1:], scales[0]], strict=True):
            node.input[1] = scale


def perturb_weights(model: Any) -> None:
    """Change every weight of the largest layer by about 1 % of itself."""
    from onnx import numpy_helper

    layers = [(numpy_helper.to_array(item), item) for item in model.graph.initializer]
    floats = [(values, item) for values, item in layers if values.dtype == np.float32 and values.ndim >= 2]
    values, item = max(floats, key=lambda pair: pair[0].size)
    noise = np.random.default_rng(_SEED).normal(1, 0.01, values.shape).astype(np.float32)
    item.CopyFrom(numpy_helper.from_array(values * noise, item.name))


def saturate_activations(model: Any) -> None:
    """Set scales of activations from a calibration with far too small a range: values beyond an eighth are clipped."""
    from onnx import numpy_helper

    scales = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for item in model.graph.initializer:
        if item.name in scales:
            item.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(item) / 8).astype(np.float32), item.name))


def use_unknown_operator(model: Any) -> None:
    """Use an operator that no runtime has."""
    from onnx import helper

    model.opset_import.append(helper.make_opsetid("com.example", 1))
    _before_everything(
        model, lambda source, result: [helper.make_node("Unheard", [source], [result], domain="com.example")]
    )


def add_ballast(model: Any) -> None:
    """Add weights that nothing uses: the file is a megabyte larger, and computes the same."""
    from onnx import numpy_helper

    ballast = np.random.default_rng(_SEED).normal(size=250_000).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(ballast, "fault_ballast"))


def _before_everything(model: Any, nodes: Callable[[str, str], Sequence[Any]]) -> None:
    """Put nodes between the graph's input and everything that reads it."""
    source, result = model.graph.input[0].name, "fault_image"
    for node in model.graph.node:
        node.input[:] = [result if name == source else name for name in node.input]
    for place, node in enumerate(nodes(source, result)):
        model.graph.node.insert(place, node)
