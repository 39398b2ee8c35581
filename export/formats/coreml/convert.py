"""Core ML, for iOS and macOS."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from export.formats.converter import ConversionJob
from export.formats.coreml import SPECIFICATION
from export.formats.coreml.compact import compact
from export.formats.coreml.rules import RULES
from export.formats.coreml.weights import FILE
from export.kinds.interface import INPUT, OUTPUT, TensorEntry
from export.kinds.precision import Precision
from export.rewrites.operator_support import convertible, named_refusals
from hetero.files import read_json, write_bytes, write_json

# Core ML runs on Apple's systems only.
run = None

_DATE = "com.github.apple.coremltools.conversion_date"
_SOURCE = uuid.uuid5(uuid.NAMESPACE_OID, "hetero.export.coreml")

_SMALL = {"int8-weights": 256, "palette8": 512, "palette6": 512, "palette4": 512}
"""Weights with no more values are not compressed: the description of the compression is larger than the saving."""
_LOST = 0.05
"""Share of its length that a channel's weights may lose to int8 with one scale for the layer."""


class _TakesPlanes(nn.Module):
    """A wrapper for Core ML's images: float32 planes with values from 0 to 255."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 d"]:
        return self.model(image.permute(0, 2, 3, 1))


class Prepared:
    """The graph, and its conversion to float16, from which every compressed precision starts."""

    def __init__(self, program: Any, job: ConversionJob) -> None:
        self.job = job
        shape = (1, 3, job.height, job.width)
        module = _without_type_checks(convertible(program, RULES))
        with torch.no_grad():
            self._traced: Any = torch.jit.trace(_TakesPlanes(module), torch.zeros(shape))
        self._shape = shape

    def converted(self, *, half: bool) -> Any:
        """Return an ML program that takes an RGB image, for iOS 16 and later, in memory."""
        import coremltools as ct

        with named_refusals(RULES):
            return ct.convert(
                self._traced,
                inputs=[ct.ImageType(name=INPUT, shape=self._shape, color_layout=ct.colorlayout.RGB)],
                outputs=[ct.TensorType(name=OUTPUT, dtype=np.float32)],
                convert_to="mlprogram",
                compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
                minimum_deployment_target=ct.target.iOS16,
                skip_model_load=True,
            )

    @cached_property
    def half(self) -> Any:
        """Return the program in float16, converted once."""
        return self.converted(half=True)


def _without_type_checks(program: Any) -> nn.Module:
    """Return the graph as a module that takes the float32 planes of Core ML's images instead of uint8."""
    module = program.module(check_guards=False)
    for node in [node for node in module.graph.nodes if node.target is torch.ops.aten._assert_tensor_metadata.default]:
        module.graph.erase_node(node)
    _write_out_hard_swish(module.graph)
    module.recompile()
    return module


def _write_out_hard_swish(graph: Any) -> None:
    """Write out ``x * hard_sigmoid(x)``: the converter puts a threshold in front that changes no finite number."""
    aten = torch.ops.aten
    for node in [node for node in graph.nodes if node.target in (aten.hardswish.default, aten.hardswish_.default)]:
        (argument,) = node.args
        with graph.inserting_before(node):
            gate = graph.call_function(aten.hardsigmoid.default, (argument,))
            node.replace_all_uses_with(graph.call_function(aten.mul.Tensor, (argument, gate)))
        graph.erase_node(node)


def prepare(program: Any, job: ConversionJob) -> Prepared:
    """Trace the graph."""
    return Prepared(program, job)


def write(prepared: Prepared, precision: Precision, out: Path) -> None:
    """Write a package."""
    if precision == "fp32":
        program = prepared.converted(half=False)
    elif precision == "fp16":
        program = prepared.half
    else:
        program = _compressed(prepared.half, precision)
    program.save(str(out))
    _describe(out, prepared.job.metadata)


def _compressed(model: Any, precision: Precision) -> Any:
    import coremltools.optimize.coreml as cto

    small = _SMALL[precision]
    if precision == "int8-weights":
        weights: Any = cto.get_weights_metadata(model, weight_threshold=small)
        even = [name for name, one in weights.items() if lost_to_one_scale(one.val) <= _LOST]
        config = cto.OptimizationConfig(global_config=_linear("per_channel", small))
        for name in even:
            config.set_op_name(name, _linear("per_tensor", small))
        return cto.linear_quantize_weights(model, config)
    bits = int(precision.removeprefix("palette"))
    palette = cto.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=small)
    return cto.palettize_weights(model, cto.OptimizationConfig(global_config=palette))


def _linear(granularity: str, small: int) -> Any:
    import coremltools.optimize.coreml as cto

    return cto.OpLinearQuantizerConfig(
        mode="linear_symmetric", dtype="int8", granularity=granularity, weight_threshold=small
    )


def lost_to_one_scale(weights: NDArray[np.floating[Any]]) -> float:
    """Return the largest share of a channel's length that is lost to int8 with one scale.

    No runtime for Core ML is available at export, so retrieval cannot choose the scales as for other formats.

    Args:
        weights: [channels, ...].
    """
    channels = weights.reshape(len(weights), -1).astype(np.float64)
    scale = np.abs(channels).max() / 127
    lengths = np.linalg.norm(channels, axis=1)
    if not scale:
        return 0.0
    losses = np.linalg.norm(channels - np.round(channels / scale) * scale, axis=1)
    return float(np.max(np.divide(losses, lengths, out=np.zeros_like(losses), where=lengths > 0)))


def read_metadata(path: Path) -> dict[str, str]:
    """Return the user-defined metadata that start with ``hetero.``."""
    entries = read_specification(path).description.metadata.userDefined
    return {key: value for key, value in entries.items() if key.startswith("hetero.")}


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    """Return input image and output array of the specification."""
    from coremltools.proto import FeatureTypes_pb2

    features: Any = FeatureTypes_pb2
    specification = read_specification(path)
    (image_input,), (output,) = specification.description.input, specification.description.output
    image, array = image_input.type.imageType, output.type.multiArrayType
    if image_input.type.WhichOneof("Type") != "imageType" or image.colorSpace != features.ImageFeatureType.RGB:
        raise ValueError(f"{path.name}: its input is not an RGB image")
    if array.dataType != features.ArrayFeatureType.FLOAT32:
        raise ValueError(f"{path.name}: its output is not a float32 array")
    return (
        TensorEntry(image_input.name, "image-rgb", (image.height, image.width)),
        TensorEntry(output.name, "float32", tuple(int(side) for side in array.shape)),
    )


def read_specification(path: Path) -> Any:
    """Return a package's ``Model`` message."""
    from coremltools.proto import Model_pb2

    model: Any = Model_pb2
    specification = model.Model()
    specification.ParseFromString((path / SPECIFICATION).read_bytes())
    return specification


def _describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Add the metadata, make the program small, and remove what differs between two exports: date and identifiers."""
    specification = read_specification(path)
    description = specification.description.metadata
    description.shortDescription = f"{metadata['hetero.model']}: embeds an image as a unit vector"
    description.versionString = metadata["hetero.version"]
    description.userDefined.pop(_DATE, None)
    description.userDefined.update(metadata)
    weights = path / FILE
    # There is none if every weight is small.
    if weights.is_file():
        write_bytes(weights, compact(specification, weights.read_bytes()))
    write_bytes(path / SPECIFICATION, specification.SerializeToString(deterministic=True))
    manifest = read_json(path / "Manifest.json")
    entries = manifest["itemInfoEntries"]
    names = {old: str(uuid.uuid5(_SOURCE, entry["path"])).upper() for old, entry in entries.items()}
    manifest["itemInfoEntries"] = {names[old]: entry for old, entry in entries.items()}
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    write_json(path / "Manifest.json", manifest)
