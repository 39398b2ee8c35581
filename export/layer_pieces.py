"""The pieces into which one layer of a searched network divides the exported graph for a phone's accelerator.

Found by exporting a small network with the layer in it, once for each kind of layer: its size makes no difference.
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from export.bundle.accelerators import AcceleratorName
from export.capture.program import capture
from export.formats.converter import ConversionJob, load_converter
from export.kinds.format import Format
from export.kinds.registry import formats
from hetero.models.stage import Stage
from hetero.named import named
from hetero.nas.cost.layers import HEAD, PIXELS, STEM, Layer

_SIDE, _CHANNELS, _OTHER_CHANNELS = 16, 16, 24
_METADATA = {"hetero.model": "layer", "hetero.version": "0"}


def further_pieces(layer: Layer, accelerator: AcceleratorName) -> int:
    """Return the number of pieces beyond the first in a network of which every other layer is a convolution.

    In a network that is a chain of layers, these add up.

    Args:
        layer: A layer of the edge family.
        accelerator: The accelerator.
    """
    return _pieces(_small(layer), accelerator) - 1


def _small(layer: Layer) -> Layer:
    """Return a layer of the same operators, one for all sizes."""
    stage = Stage(
        channels=_CHANNELS,
        squeeze_excite=layer.stage.squeeze_excite,
        block=layer.stage.block,
        activation=layer.stage.activation,
    )
    inputs, outputs = _CHANNELS, _CHANNELS if layer.inputs == layer.outputs else _OTHER_CHANNELS
    if layer.kind in (PIXELS, STEM):
        inputs = 3
    return replace(
        layer,
        inputs=inputs,
        outputs=3 if layer.kind == PIXELS else outputs,
        height=_SIDE,
        width=_SIDE,
        stage=stage,
        principal=min(layer.principal, 8),
    )


@functools.cache
def _pieces(layer: Layer, accelerator: AcceleratorName) -> int:
    network = _network(layer)
    side = _SIDE * (layer.stride if layer.kind == PIXELS else 1)
    image = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    format = _format_for(accelerator)
    converter = load_converter(format.name)
    job = ConversionJob(_METADATA, side, side, goals={}, calibration=None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / format.file_name("fp32")
        converter.write(converter.prepare(capture(network, image), job), "fp32", file)
        return next(fit.partitions for fit in named(format.accelerators).fits(file) if fit.accelerator == accelerator)


def _format_for(accelerator: AcceleratorName) -> Format:
    name = "litert" if accelerator == "litert-gpu" else "onnx"
    return next(format for format in formats() if format.name == name)


def _network(layer: Layer) -> nn.Module:
    """Return a network of an image with the layer between convolutions."""
    pixels = Layer(PIXELS, 3, 3, _SIDE, _SIDE, layer.stride if layer.kind == PIXELS else 1).build()
    if layer.kind == PIXELS:
        parts = [pixels, nn.Conv2d(3, _CHANNELS, 1), _Mean()]
    elif layer.kind == HEAD:
        parts = [pixels, nn.Conv2d(3, layer.inputs, 1), layer.build()]
    else:
        parts = [pixels, nn.Conv2d(3, layer.inputs, 1), layer.build(), nn.Conv2d(layer.outputs, _CHANNELS, 1), _Mean()]
    return nn.Sequential(*parts).eval()


class _Mean(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean(dim=(2, 3))
