"""A model directory: ``model.safetensors config.json space.json metrics.json`` (and the training log)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save
from torch import Tensor

from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json, sha256_bytes, sha256_file, write_bytes, write_json
from hetero.foreign import strict_json
from hetero.models.backbones.block_catalog import BLOCKS
from hetero.models.config import ModelConfig
from hetero.models.families import family_called
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import MODEL
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file, record
from hetero.space import EmbeddingSpace
from hetero.storage.directories import replaced_directory, steadily

PROTOTYPES = "prototypes.safetensors"
MIRRORS = "mirrors"
"""Key in ``metrics.json`` of a cloud: true if it embeds mirror images alike."""


@record
class ModelRecord:
    """The content of ``config.json``."""

    name: str
    model: ModelConfig
    preprocessing: Preprocessing
    weights: str
    schema: Literal["hetero/model/1"] = "hetero/model/1"


def weights_bytes(model: EmbeddingModel) -> bytes:
    """Return the model's weights as safetensors; equal weights give equal bytes."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})


def save_model(directory: Path, model: EmbeddingModel, metrics: Mapping[str, Any]) -> None:
    """Write a model into a directory, which may hold other files; a model already there is replaced in one step.

    Raises:
        InputError: When the model has no embedding space yet.
    """
    if model.space is None:
        raise InputError(f"model {model.name!r} has no embedding space yet; set model.space before saving it")
    data = weights_bytes(model)
    entry = ModelRecord(model.name, model.config, model.preprocessing, sha256_bytes(data))
    # A directory without config.json holds no model, so in a new one a kill before that is written leaves none.
    replaces = (directory / "config.json").exists() and not directory.is_mount()
    with replaced_directory(directory.resolve(), keep=True) if replaces else nullcontext(directory) as place:
        write_bytes(place / "model.safetensors", data)
        model.space.save(place / "space.json")
        write_json(place / "metrics.json", dict(metrics))
        write_json(place / "config.json", dataclasses.asdict(entry))


def load_record(directory: Path) -> ModelRecord:
    """Read the record of a model directory, without the weights.

    Raises:
        InputError: When the directory is not a model directory.
        IntegrityError: When the record is damaged.
    """
    path = directory / "config.json"
    refuse_others(directory, MODEL)
    if not path.is_file():
        raise InputError(f"expected a model directory at {directory}, found no config.json in it")
    return parse_file(ModelRecord, path)


def load_model(directory: Path) -> EmbeddingModel:
    """Read a model directory.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        InputError: When the directory is not a model directory.
        IntegrityError: When a file is damaged.
    """
    return steadily(directory, _load)


def _load(directory: Path) -> EmbeddingModel:
    entry, path = load_record(directory), directory / "config.json"
    weights = directory / "model.safetensors"
    if not weights.is_file() or sha256_file(weights) != entry.weights:
        raise IntegrityError(
            f"{weights} is missing or not the file that {path} describes; fetch or train the model again"
        )
    # The weights come from the file: none need be fetched.
    config = dataclasses.replace(entry.model, pretrained=False)
    try:
        tensors = load_file(weights)
        _require_fit(config, entry.preprocessing, tensors)
        model = EmbeddingModel(entry.name, config, entry.preprocessing)
        model.config = entry.model
        model.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        raise IntegrityError(f"{weights} does not fit the architecture in {path}: {str(error)[:500]}") from None
    model.space = EmbeddingSpace.load(directory / "space.json")
    return model.eval()


def _require_fit(config: ModelConfig, preprocessing: Preprocessing, tensors: Mapping[str, Tensor]) -> None:
    """Compare weights with an outline of their model, which takes no memory, since a file may name any size.

    Raises:
        RuntimeError: When they belong to another architecture.
    """
    # The networks of packages have fixed sizes, and a user's own blocks may not allow outlines.
    if family_called(config.family).outlined and all(stage.block in BLOCKS for stage in config.stages):
        with torch.device("meta"):
            outline = EmbeddingModel("outline", config, preprocessing)
        outline.load_state_dict(tensors, assign=True)


def save_prototypes(directory: Path, prototypes: Float[torch.Tensor, "k d"], classes: Sequence[str] = ()) -> str:
    """Write class prototypes beside ``space.json``.

    Args:
        directory: The model's directory.
        prototypes: float32 [k, d], one direction a class.
        classes: Names of the classes, so that data with other classes can be matched.

    Returns:
        The file's SHA-256.
    """
    metadata = {"classes": canonical_json(list(classes))} if classes else None
    data = save_arrays({"prototypes": prototypes.detach().cpu().float().contiguous().numpy()}, metadata=metadata)
    write_bytes(directory / PROTOTYPES, data)
    return sha256_bytes(data)


def load_prototypes(directory: Path) -> Float[np.ndarray, "k d"] | None:
    """Read class prototypes, or None when the directory has none.

    Raises:
        IntegrityError: When the file is not the one that ``space.json`` names, or holds no prototypes.
    """
    return steadily(directory, _load_prototypes)


def _load_prototypes(directory: Path) -> Float[np.ndarray, "k d"] | None:
    path = directory / PROTOTYPES
    if not path.is_file():
        return None
    expected = EmbeddingSpace.load(directory / "space.json").prototypes
    if sha256_file(path) != expected:
        raise IntegrityError(f"{path} is not the file that space.json names; fetch or train the model again")
    try:
        prototypes = load_arrays(path)["prototypes"]
    except (SafetensorError, KeyError) as error:
        raise IntegrityError(f"{path} does not hold prototypes: {error}") from None
    if prototypes.dtype != np.float32 or prototypes.ndim != 2 or not np.isfinite(prototypes).all():
        array = f"{prototypes.dtype} {list(prototypes.shape)}"
        raise IntegrityError(f"{path}: expected prototypes as finite float32 [classes, dimensions], got {array}")
    return prototypes


def load_prototype_classes(directory: Path) -> tuple[str, ...]:
    """Read the names of the classes of a directory's prototypes; empty when there are none.

    Raises:
        IntegrityError: When the file is damaged or its names are no list of text.
    """
    path = directory / PROTOTYPES
    if not path.is_file():
        return ()
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("classes", "[]")
    except SafetensorError as error:
        raise IntegrityError(f"{path} is not a whole safetensors file: {error}") from None
    what = f"the metadata 'classes' of {path}"
    names = strict_json(text.encode(), what=what)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[Any]", names)):
        raise IntegrityError(f"{what} is not a list of names")
    return tuple(cast("list[str]", names))
