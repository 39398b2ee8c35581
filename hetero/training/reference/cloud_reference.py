"""The cloud model's part in a student's training: embeddings of the images, prototypes, and the space's contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from hetero.data.embeddings.file import Embeddings, aligned, embeddings_of, is_sharded, load_embeddings, rows_in
from hetero.data.embeddings.mapped import MappedVectors, Vectors
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.data.images import Dataset, ImageSet
from hetero.data.protocols import COPY_VIEWS
from hetero.errors import InputError
from hetero.files import digest, read_json, sha256_bytes
from hetero.geometry.principal import mean_vector
from hetero.models.directory import MIRRORS, load_model, load_prototype_classes, load_prototypes
from hetero.models.embed import embed_images
from hetero.models.external.embedders import ImageEmbedder, embed_all
from hetero.models.model import EmbeddingModel
from hetero.space import EmbeddingSpace
from hetero.text.vectors import TextVectors
from hetero.training.reference.mirrored import takes_mirrored_alike

CLOUD_EMBEDDINGS = "embeddings.safetensors"
CLOUD_SHARDS = "embeddings"
_ROWS = 1 << 14


@dataclass(frozen=True)
class CloudReference:
    """The cloud model as a student sees it; the model itself need not be at hand.

    Attributes:
        space: The embedding space to live in.
        train: float32 [n, d], unit vectors of the training images, in their order; in memory, or read when needed.
        prototypes: float32 [k, d], one direction a class; none where the training images have no labels.
        validation: float32 [m, d], unit vectors of the validation images; None when they are not known. In that case
            the student's weights are chosen by its own symmetric figure.
        mirrors: True if the cloud embeds an image and its mirror image alike
            (:func:`hetero.training.reference.mirrored.takes_mirrored_alike`); False where it is not known.
        texts: float32 [t, d], unit vectors of texts in its space that a student may learn from; None for none.
        model: The cloud model itself, for students that are trained beside it (``live``, ``refresh``).
    """

    space: EmbeddingSpace
    train: Vectors
    prototypes: Float32[np.ndarray, "k d"]
    validation: Float32[np.ndarray, "m d"] | None
    model: EmbeddingModel | ImageEmbedder | None = None
    mirrors: bool = False
    texts: Float32[np.ndarray, "t d"] | None = None

    @property
    def identity(self) -> str:
        """Digest of everything a student can learn from it."""
        arrays = [self.train, self.prototypes, *(one for one in (self.validation, self.texts) if one is not None)]
        return digest([self.space.space_id, self.mirrors, *map(_identity, arrays)])

    @cached_property
    def centre(self) -> Float32[np.ndarray, " d"]:
        """Mean of the training images' vectors."""
        return mean_vector(self.train).astype(np.float32)

    @classmethod
    def from_directory(cls, directory: Path, dataset: Dataset, *, live: bool = False) -> CloudReference:
        """Read the output of a run's cloud stage: cached embeddings and, when it trained a head, prototypes.

        Args:
            directory: Holds ``embeddings.safetensors`` (or shards in ``embeddings``) and ``space.json``, perhaps
                ``prototypes.safetensors``.
            dataset: The images that the embeddings belong to.
            live: True to load the model itself as well, for students trained beside it.
        """
        reference = cls.from_file(cloud_embeddings(directory), dataset)
        prototypes = load_prototypes(directory)
        return dataclasses.replace(
            reference,
            prototypes=reference.prototypes if prototypes is None else prototypes,
            model=load_model(directory) if live else None,
            mirrors=_mirrors(directory),
        )

    @classmethod
    def from_model(cls, directory: Path, dataset: Dataset) -> CloudReference:
        """Embed a data set's training and validation images with a trained cloud model, prepared as it expects them.

        Args:
            directory: The cloud's model directory.
            dataset: Images, prepared for the student; they are prepared once more where the cloud expects another
                preparation. Classes that the cloud's head lacks get the mean of their images as prototype.

        Raises:
            InputError: When the cloud expects another preparation, and only the prepared pixels are at hand.
        """
        model = load_model(directory)
        assert model.space is not None
        sets = (dataset.train, dataset.validation)
        images, held_out = (part.prepared_by(model.preprocessing).images for part in sets)
        train = embed_images(model, images, progress="embedding the training images")
        validation = embed_images(model, held_out, progress="embedding the validation images")
        mirrors = takes_mirrored_alike(partial(embed_images, model), images, train)
        means = _means(train, dataset.train)
        prototypes, in_head = known_prototypes(directory, dataset.train.classes, train.shape[1])
        return cls(model.space, train, np.where(in_head[:, None], prototypes, means), validation, model, mirrors)

    @classmethod
    def from_embedder(cls, embedder: ImageEmbedder, dataset: Dataset) -> CloudReference:
        """Embed a data set's training and validation images with a model trained elsewhere, prepared as it expects.

        Args:
            embedder: For instance a :class:`hetero.models.external.embedders.ModuleEmbedder` around an ``nn.Module``.
            dataset: Images, prepared for the student; they are prepared once more where the cloud expects another
                preparation: the same pictures, and for changed copies
                (:func:`hetero.data.augmentation.copies.with_copies`) the same changes. Prototypes are the class means.

        Raises:
            InputError: When the cloud expects another preparation, and only the prepared pixels are at hand.
        """
        sets = (dataset.train, dataset.validation)
        images, held_out = (part.prepared_by(embedder.preprocessing).images for part in sets)
        train = embed_all(embedder, images, progress="embedding the training images")
        validation = embed_all(embedder, held_out, progress="embedding the validation images")
        mirrors = takes_mirrored_alike(partial(embed_all, embedder), images, train)
        return cls(embedder.space, train, _means(train, dataset.train), validation, embedder, mirrors)

    @classmethod
    def from_file(cls, path: Path, dataset: Dataset) -> CloudReference:
        """Read embeddings from a file; prototypes are the class means.

        Args:
            path: As :func:`hetero.data.embeddings.file.load_embeddings` reads it; the training images' vectors in a
                folder of shards are checked once, then read whenever a batch needs them. It must hold every training
                image of the data set; validation images are used when it holds them all. An altered copy that it lacks
                (:mod:`hetero.data.augmentation.altered`) has its original's vector.
            dataset: The images that the embeddings belong to.

        Raises:
            InputError: When a training image has no embedding.
            IntegrityError: When the file or a shard is damaged.
        """
        stored = load_embeddings(path)
        train = _train(stored, dataset.train)
        means = _means(train, dataset.train)
        return cls(stored.space, train, means, _validation(stored, dataset.validation))

    def with_texts(self, texts: TextVectors, dataset: Dataset, *, prototypes: bool = False) -> CloudReference:
        """Return the reference with vectors of texts, for objectives that compare with them.

        Texts that only describe validation or test images are left out.

        Args:
            texts: Texts of its space.
            dataset: The images.
            prototypes: True to take the texts of the training classes as their prototypes, as in zero-shot
                classification, in place of the cloud's.

        Raises:
            InputError: When a training class has no text, and texts were to be the prototypes.
        """
        directions = texts.prototypes(dataset.train) if prototypes else self.prototypes
        return dataclasses.replace(self, texts=texts.bank(dataset), prototypes=directions)


def cloud_embeddings(directory: Path) -> Path:
    """Return the place of a run's cloud embeddings: a file, or a folder of shards."""
    folder = directory / CLOUD_SHARDS
    return folder if is_sharded(folder) else directory / CLOUD_EMBEDDINGS


def _train(stored: Embeddings, images: ImageSet) -> Vectors:
    if not isinstance(stored, EmbeddingShards):
        return aligned(stored, images)
    rows = rows_in(stored, images.names)
    stored.require_whole()
    return stored.mapped(rows)


def _identity(vectors: Vectors) -> str:
    if isinstance(vectors, MappedVectors):
        return vectors.identity
    return sha256_bytes(np.ascontiguousarray(vectors).tobytes())


def _mirrors(directory: Path) -> bool:
    """Read whether the cloud embeds mirror images alike, from the metrics of a run's cloud stage."""
    path = directory / "metrics.json"
    return path.is_file() and bool(read_json(path).get(MIRRORS))


def known_prototypes(
    directory: Path, classes: Sequence[str], dimension: int
) -> tuple[Float32[np.ndarray, "k d"], Bool[np.ndarray, " k"]]:
    """Return a model's own prototypes of these classes.

    Args:
        directory: The model's directory.
        classes: Names of a data set's training classes.
        dimension: Dimension of the model's embeddings.

    Returns:
        float32 [k, d], zero where the model's head lacks a class, and bool [k], True where it has one. Prototypes
        without names (written by other tools) count when there are as many as classes.
    """
    prototypes, in_head = np.zeros((len(classes), dimension), np.float32), np.zeros(len(classes), bool)
    stored = load_prototypes(directory)
    if stored is None:
        return prototypes, in_head
    names = load_prototype_classes(directory) or (tuple(classes) if len(stored) == len(classes) else ())
    row = {name: index for index, name in enumerate(names)}
    in_head = np.array([name in row for name in classes])
    prototypes[in_head] = stored[[row[name] for name in classes if name in row]]
    return prototypes, in_head


def _validation(stored: Embeddings, images: ImageSet) -> Float32[np.ndarray, "m d"] | None:
    names = list(images.names)
    known = stored.rows_of(names) >= 0
    if images.view_names == COPY_VIEWS and not known.all():
        # Altered copies are queries only, and the cloud should answer them as it answers their original.
        names = [name if there else name.rpartition("#")[0] or name for name, there in zip(names, known, strict=True)]
        known = stored.rows_of(names) >= 0
    return embeddings_of(stored, names) if names and known.all() else None


def _means(embeddings: Vectors, images: ImageSet) -> Float32[np.ndarray, "k d"]:
    """Return the mean direction of each named class, from the images that have a label."""
    return class_means(embeddings, np.asarray(images.labels), len(images.classes))


def class_means(embeddings: Vectors, labels: Int64[np.ndarray, " n"], classes: int) -> Float32[np.ndarray, "k d"]:
    """Return the mean direction of each class, length one: a head for a cloud model whose own head is not at hand.

    Args:
        embeddings: float32 [n, d], read in parts.
        labels: int64 [n]; from ``classes`` on they name no class, and those vectors are left out.
        classes: Number of classes.

    Raises:
        InputError: When a class has no embedding.
    """
    total = torch.zeros((classes, embeddings.shape[1]), dtype=torch.float64)
    for start in range(0, len(labels), _ROWS):
        named = labels[start : start + _ROWS] < classes
        rows = embeddings[start : start + _ROWS][named].astype(np.float64)
        total.index_add_(0, torch.from_numpy(labels[start : start + _ROWS][named]), torch.from_numpy(rows))
    sums = total.numpy()
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if empty := np.flatnonzero(lengths[:, 0] < 1e-6).tolist():
        raise InputError(
            f"{len(empty)} classes have no mean direction (no embeddings, or they cancel out): {empty[:10]}"
        )
    return (sums / lengths).astype(np.float32)
