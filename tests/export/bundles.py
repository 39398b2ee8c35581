"""A small bundle written by hand, so that reading is tested without converting anything."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from export.bundle.goldens import Goldens, RetrievalSet
from export.bundle.manifest import FileEntry, Manifest, ModelEntry, TaskEntry, combined_digest
from export.kinds.interface import TensorEntry
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

DIMENSION = 4
PREPROCESSING = Preprocessing(height=6, width=5)
SPACE = EmbeddingSpace.define(defined_by="0" * 64, name="tiny", version="1", dimension=DIMENSION)


def units(count: int, seed: int, dimension: int = DIMENSION) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def images(count: int, seed: int, preprocessing: Preprocessing = PREPROCESSING) -> np.ndarray:
    shape = (count, preprocessing.height, preprocessing.width, 3)
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


def tasks() -> tuple[RetrievalTask, ...]:
    return (
        RetrievalTask("a>b", np.arange(0, 3), np.arange(3, 6)),
        RetrievalTask("b>b", np.array([5, 3]), np.arange(3, 6), exclude_self=True),
    )


def retrieval_set(
    preprocessing: Preprocessing = PREPROCESSING, space: EmbeddingSpace = SPACE, seed: int = 0
) -> RetrievalSet:
    return RetrievalSet(
        images=images(6, seed, preprocessing),
        labels=np.array([0, 1, 2, 0, 1, 2]),
        cloud_embeddings=units(6, seed + 1, space.dimension),
        tasks=tasks(),
        names=tuple(f"image {row}" for row in range(6)),
        space=space,
    )


def goldens() -> Goldens:
    return Goldens(
        golden_images=images(2, 3),
        golden_tensors=np.zeros((2, 3, 6, 5), np.float32),
        golden_embeddings=units(2, 4),
        retrieval_images=images(6, 5),
        retrieval_labels=np.array([0, 1, 2, 0, 1, 2]),
        retrieval_student=units(6, 6),
        retrieval_cloud=units(6, 7),
        tasks=tasks(),
    )


def entries(path: Path) -> tuple[FileEntry, ...]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("manifest."))
    return tuple(
        FileEntry(file.relative_to(path).as_posix(), hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
        for file in files
    )


def write_bundle(path: Path) -> Path:
    """A bundle with an ONNX file and a Core ML directory (of nonsense: reading does not load models)."""
    (path / "model.fp32.mlpackage" / "Data").mkdir(parents=True)
    (path / "model.fp32.onnx").write_bytes(b"onnx")
    (path / "model.fp32.mlpackage" / "Manifest.json").write_bytes(b"{}")
    (path / "model.fp32.mlpackage" / "Data" / "weight.bin").write_bytes(b"weights")
    (path / "README.md").write_text("# A bundle\n")
    SPACE.save(path / "space.json")
    (path / "preprocess.json").write_text(json.dumps(PREPROCESSING.to_dict()))
    goldens().save(path / "goldens.safetensors")
    relist(path)
    return path


def relist(path: Path) -> None:
    """Write a manifest that fits what is in the directory: what somebody hostile would do too."""
    files = entries(path)
    manifest = Manifest(
        name="student",
        hetero="0.1.0",
        space_id=SPACE.space_id,
        source="1" * 64,
        macs=10,
        parameters=20,
        models=(
            model("model.fp32.onnx", "onnx", "uint8", (1, 6, 5, 3), files),
            model("model.fp32.mlpackage", "coreml", "image-rgb", (6, 5), files),
        ),
        tasks=tuple(TaskEntry(task.name, task.exclude_self) for task in tasks()),
        files=files,
    )
    (path / "manifest.json").write_text(json.dumps(dataclasses.asdict(manifest)))


def model(file: str, kind: str, taken: str, shape: tuple[int, ...], files: tuple[FileEntry, ...]) -> ModelEntry:
    own = tuple(entry for entry in files if entry.path == file or entry.path.startswith(file + "/"))
    sha256, size = combined_digest(own, file)
    return ModelEntry(
        file=file,
        format=kind,
        precision="fp32",
        sha256=sha256,
        size=size,
        input=TensorEntry("image", taken, shape),
        output=TensorEntry("embedding", "float32", (1, DIMENSION)),
        versions={"torch": "2"},
        checked="not verified" if kind == "coreml" else "pass",
        min_cosine=None if kind == "coreml" else 1.0,
    )
