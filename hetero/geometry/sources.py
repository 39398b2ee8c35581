"""The sources of vectors to examine: a file of embeddings, a run, or a model with images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hetero.data.augmentation.copies import sources_of
from hetero.data.checking.check import config_for
from hetero.data.config import DataConfig
from hetero.data.embeddings.file import is_sharded, raw_vectors
from hetero.data.embeddings.name_search import rows_among
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.data.prepare import found_rows, prepare
from hetero.errors import InputError
from hetero.geometry.sample import sampled_rows
from hetero.recognition.kinds import ARRAY, CLOUD_STAGE, EMBEDDINGS, MODEL, RUN, SHARDS
from hetero.recognition.recognise import refuse_others

MOST_READ = 1 << 20
"""Most vectors of a folder of embeddings that are read."""
_EMBEDDINGS = ("embeddings.safetensors", "embeddings")


@dataclass(frozen=True)
class Vectors:
    """Vectors to examine.

    Attributes:
        name: Name for people.
        vectors: Floating point [n, d], unchanged, finite or not.
        labels: Class of each; None when it is not known.
        copies: Number of vectors of changed copies, which are left out because they lie near their originals by
            construction.
    """

    name: str
    vectors: Float[np.ndarray, "n d"]
    labels: tuple[str, ...] | None = None
    copies: int = 0


def vectors_of(source: Path, data: Path | None, *, root: str = "") -> Vectors:
    """Read or compute vectors.

    Args:
        source: A file or a folder of embeddings; the directory of a run, or of its cloud; or a model directory.
        data: A folder of class folders or a CSV file, for labels by the names of images, and for a model's images.
        root: Folder that the CSV's paths are relative to.

    Raises:
        InputError: When there is no such source, or a model has no images to embed.
    """
    config = config_for(data, root=root) if data else None
    expected = "a file of embeddings, a run's directory or a model directory"
    refuse_others(source, EMBEDDINGS, ARRAY, SHARDS, RUN, CLOUD_STAGE, MODEL, what=expected)
    if source.is_file() or is_sharded(source):
        return _from_file(source, config)
    for path in (place / name for place in (source, source / "cloud") for name in _EMBEDDINGS):
        if path.is_file() or is_sharded(path):
            return _from_file(path, config)
    if (source / "config.json").is_file():
        return _from_model(source, config)
    raise InputError(
        f"expected {expected} at {source}, found " + ("a folder without any of them" if source.is_dir() else "nothing")
    )


def _from_file(path: Path, config: DataConfig | None) -> Vectors:
    vectors, names, title = _read(path)
    if config is None:
        if names is None:
            return Vectors(title, vectors)
        originals = _originals(names)
        return Vectors(title, vectors[originals], copies=len(names) - len(originals))
    if names is None:
        raise InputError(f"{path} has no names of images, by which --data gives classes; put them into {path.stem}.txt")
    data, originals = found_rows(config), _originals(names)
    places = rows_among(data.names, [names[row] for row in originals.tolist()])
    rows = originals[places >= 0]
    if not len(rows):
        raise InputError(
            f"no image of {config.path} has a vector in {path}: its names look like {names[0]!r}, the data's like "
            f"{next(iter(data.names), 'nothing')!r}"
        )
    labels = data.labels[places[places >= 0]].tolist()
    classes = tuple(data.classes[label] if label >= 0 else "" for label in labels)
    return Vectors(title, vectors[rows], classes, len(names) - len(originals))


def _read(path: Path) -> tuple[Float[np.ndarray, "n d"], list[str] | None, str]:
    """Return vectors, their names where there are any, and a title; a seeded sample of more than :data:`MOST_READ`."""
    if not is_sharded(path):
        return *raw_vectors(path), path.name
    shards = EmbeddingShards(path)
    rows = sampled_rows(len(shards), MOST_READ)
    title = path.name if len(rows) == len(shards) else f"{path.name}, {len(rows):,} of {len(shards):,} vectors"
    return shards.raw(rows), shards.names_of(rows), title


def _from_model(directory: Path, config: DataConfig | None) -> Vectors:
    from hetero.models.directory import load_model
    from hetero.models.embed import embed_images

    if config is None:
        raise InputError(f"{directory} is a model, and its vectors are those of images: give them as --data PATH")
    model = load_model(directory)
    dataset = prepare(config, model.preprocessing)
    sets = (dataset.train, dataset.validation, dataset.test)
    vectors = [embed_images(model, part.images, progress="embedding") for part in sets]
    labels = tuple(part.classes[label] for part in sets for label in np.asarray(part.labels))
    return Vectors(model.name, np.concatenate(vectors), labels)


def _originals(names: Sequence[str]) -> np.ndarray:
    return np.flatnonzero(sources_of(names) == np.arange(len(names)))
