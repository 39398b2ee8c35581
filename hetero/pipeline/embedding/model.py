"""The model that embeds, from what a user calls it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hetero.errors import InputError
from hetero.files import digest
from hetero.models.directory import load_record
from hetero.models.external.embedders import ImageEmbedder, ModuleEmbedder, OnnxEmbedder
from hetero.models.external.frozen import backbone_embedder
from hetero.models.external.own import own_embedder
from hetero.models.external.program import program_embedder
from hetero.models.external.trained import TrainedEmbedder
from hetero.pipeline.quick.cloud_table import Takes, cloud_table
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import MODEL, ONNX
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class OpenModel:
    """A model that is ready to embed.

    Attributes:
        embedder: The model.
        identity: Digest of what decides its vectors.
        device: Kind of device that it runs on.
    """

    embedder: ImageEmbedder
    identity: str
    device: str


def open_model(model: str, takes: Takes, device: Device = "auto") -> OpenModel:
    """Load a model.

    Args:
        model: A model directory, an ``.onnx`` or ``.pt2`` file, the name of a published network, or
            ``module:attribute``.
        takes: How its images are prepared, where it does not say so itself.
        device: Device to run on; ``auto`` takes a GPU where there is one.

    Raises:
        InputError: When there is no such model, the size of its images is not known, or it cannot run on the device.
        IntegrityError: When a file is damaged.
    """
    embedder, weights = _embedder(model, takes)
    identity = digest([embedder.space.space_id, embedder.preprocessing.digest, weights])
    return OpenModel(embedder, identity, _moved(embedder, device))


def _embedder(model: str, takes: Takes) -> tuple[ModuleEmbedder | OnnxEmbedder | TrainedEmbedder, str]:
    """Return the model, and the digest of its weights where its space does not say that."""
    path = Path(model)
    if path.exists() and path.suffix != ".pt2":
        refuse_others(path, MODEL, ONNX, what="a model that embeds images")
    table = cloud_table(model, takes)
    stated: dict[str, Any] = table.pop("preprocessing", {})
    preprocessing = _preprocessing(stated) if stated else None
    match table:
        case {"directory": str(directory)}:
            return TrainedEmbedder(Path(directory)), load_record(Path(directory)).weights
        case {"onnx": str(file)} if preprocessing:
            return OnnxEmbedder(Path(file), preprocessing, name=path.stem), ""
        case {"program": str(file)} if preprocessing:
            return program_embedder(Path(file), preprocessing, name=path.stem), ""
        case {"module": str(name)}:
            # One of its own is used where none is stated.
            otherwise = preprocessing or Preprocessing(height=1, width=1)
            return own_embedder(name, preprocessing, otherwise, name=name.rpartition(":")[2], version="1"), ""
        case {"backbone": str(name)}:
            return backbone_embedder(name, preprocessing, weights=takes.weights), ""
        case _:
            raise InputError(f"expected a model that embeds images, got {model}")


def _preprocessing(stated: dict[str, Any]) -> Preprocessing:
    return parse(Preprocessing, stated, what="the preparation of the images")


def _moved(embedder: ModuleEmbedder | OnnxEmbedder | TrainedEmbedder, device: Device) -> str:
    """Move a model to a device, and return the kind of device that it runs on."""
    # Late: most of what is looked at first needs no torch.
    import torch

    if isinstance(embedder, OnnxEmbedder):
        if device == "cuda":
            raise InputError("--device cuda: ONNX files run on the CPU here; give a model directory, or --device cpu")
        return "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no GPU here; give --device cpu")
    chosen = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    if isinstance(embedder, TrainedEmbedder):
        embedder.model.to(chosen)
    else:
        embedder.to(torch.device(chosen))
    return chosen
