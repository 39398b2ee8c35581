"""A student learns from a folder of embeddings exactly what it learns from a file of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow")

from hetero.data.embeddings.file import save_embeddings
from hetero.data.embeddings.mapped import MappedVectors
from hetero.data.images import Dataset
from hetero.errors import InputError, IntegrityError
from hetero.space import EmbeddingSpace
from hetero.training.config import StudentConfig
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.student import train_student
from tests.hetero.data.sharded import write_folder
from tests.hetero.training.test_student import EDGE, SHAPE, TRAINING, dataset

__all__ = ["dataset"]

SPACE = EmbeddingSpace.define(defined_by="ab", name="cloud", version="1", dimension=8)


def embedded(data: Dataset) -> tuple[np.ndarray, list[str]]:
    """Vectors of length about one, in an order of their own, with one that no image has."""
    names = [*data.test.names, "another", *data.validation.names, *data.train.names[::-1]]
    vectors = np.random.default_rng(0).normal(size=(len(names), 8)) + 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * 1.01).astype(np.float32), names


def write(folder: Path, vectors: np.ndarray, names: list[str], dtype: str = "float32") -> Path:
    return write_folder(folder, vectors, names, SPACE, dtype=dtype)


@pytest.mark.parametrize("mixup", [0.0, 0.2])
def test_shards_train_the_student_that_a_file_trains_bit_by_bit(dataset: Dataset, tmp_path: Path, mixup: float) -> None:
    vectors, names = embedded(dataset)
    save_embeddings(tmp_path / "cloud.safetensors", vectors, names, SPACE)
    paths = {"file": tmp_path / "cloud.safetensors", "shards": write(tmp_path / "cloud", vectors, names)}
    training = dataclasses.replace(TRAINING, mixup=mixup)
    config = StudentConfig(name="edge", model=EDGE, training=training, principal=3, refit=True)
    clouds = {kind: CloudReference.from_file(path, dataset) for kind, path in paths.items()}
    assert isinstance(clouds["shards"].train, MappedVectors)
    for field in ("prototypes", "validation", "centre"):
        assert np.array_equal(*(getattr(cloud, field) for cloud in clouds.values())), field
    students = [train_student(dataset, cloud, config, SHAPE, tmp_path / f"m-{kind}") for kind, cloud in clouds.items()]
    for (name, one), other in zip(students[0].state_dict().items(), students[1].state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_half_precision_is_scaled_to_length_one_again(dataset: Dataset, tmp_path: Path) -> None:
    vectors, names = embedded(dataset)
    cloud = CloudReference.from_file(write(tmp_path / "cloud", vectors, names, "float16"), dataset)
    exact = vectors[[names.index(name) for name in dataset.train.names]]
    assert np.allclose(np.linalg.norm(cloud.train[:], axis=1), 1, atol=1e-6)
    assert np.abs(cloud.train[:] - exact / np.linalg.norm(exact, axis=1, keepdims=True)).max() < 1e-3


def test_the_identity_follows_the_vectors_and_damage_is_found_before_training(dataset: Dataset, tmp_path: Path) -> None:
    vectors, names = embedded(dataset)
    one = CloudReference.from_file(write(tmp_path / "one", vectors, names), dataset).identity
    assert CloudReference.from_file(write(tmp_path / "same", vectors, names), dataset).identity == one
    assert CloudReference.from_file(write(tmp_path / "other", -vectors, names), dataset).identity != one
    path = next((tmp_path / "one").glob("000000000007-*.parquet"))
    data = bytearray(path.read_bytes())
    data[data.index(vectors[8].tobytes())] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="is damaged"):
        CloudReference.from_file(tmp_path / "one", dataset)


def test_a_missing_training_image_is_told_and_missing_validation_is_not_used(dataset: Dataset, tmp_path: Path) -> None:
    vectors, names = embedded(dataset)
    rows = [row for row, name in enumerate(names) if name not in (dataset.train.names[3], dataset.validation.names[0])]
    folder = write(tmp_path / "cloud", vectors[rows], [names[row] for row in rows])
    with pytest.raises(InputError, match="1 of 12 images have no embedding"):
        CloudReference.from_file(folder, dataset)
    rows = [row for row, name in enumerate(names) if name != dataset.validation.names[0]]
    folder = write(tmp_path / "less", vectors[rows], [names[row] for row in rows])
    assert CloudReference.from_file(folder, dataset).validation is None
