"""A bundle of the tiny linear model whose goldens are computed by numpy: everything real except training."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.bundle.golden_texts import texts_entry
from export.bundle.goldens import Goldens
from export.bundle.manifest import FileEntry, Manifest, ModelEntry, TaskEntry, TextsEntry
from export.bundle.originals import write_originals
from export.kinds.interface import TensorEntry
from hetero.data.decoding.decode import resized
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace, TextSide
from hetero.text.described import DescribedImages
from tests.device_tests.tiny_models import (
    DIMENSION,
    HEIGHT,
    WIDTH,
    embed,
    weights,
    write_coreml,
    write_litert,
    write_onnx,
)

SPACE = EmbeddingSpace.define(defined_by="0" * 64, name="tiny", version="1", dimension=DIMENSION)
PREPROCESSING = Preprocessing(HEIGHT, WIDTH, resize="squash", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
CLASSES, GOLDENS = 24, 8
NOISE = 120
"""Grey levels: so much that a third of the queries find the right image."""


def drawn(seed: int = 0, noise: int = NOISE) -> NDArray[np.uint8]:
    """Two noisy views of each class, larger than the model's input and not square: uint8 [2 * CLASSES, 13, 11, 3]."""
    rng = np.random.default_rng(seed)
    plain = rng.integers(0, 256, (CLASSES, 13, 11, 3))
    views = [np.clip(plain + rng.integers(-noise, noise + 1, plain.shape), 0, 255).astype(np.uint8) for _ in range(2)]
    return np.concatenate(views)


def pictures(seed: int = 0, noise: int = NOISE) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """What the contract makes of them: uint8 [2 * CLASSES, h, w, 3] and int64 labels, the first view first."""
    images = np.stack([resized(Image.fromarray(picture), PREPROCESSING) for picture in drawn(seed, noise)])
    return images, np.tile(np.arange(CLASSES), 2)


def originals(noise: int = NOISE) -> dict[int, bytes]:
    """PNG files of the pictures, by row."""
    files: dict[int, bytes] = {}
    for row, picture in enumerate(drawn(noise=noise)):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "png")
        files[row] = stream.getvalue()
    return files


def texts(cloud: NDArray[np.float32]) -> DescribedImages:
    """A text near the cloud's vector of each picture."""
    rng, rows = np.random.default_rng(3), np.arange(len(cloud))
    vectors = cloud + 0.1 * rng.normal(size=cloud.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return DescribedImages(vectors.astype(np.float32), rows, rows, tuple(f"picture <{row}>" for row in rows))


def goldens(seed: int = 0, *, useless: bool = False, noise: int = NOISE, with_texts: bool = False) -> Goldens:
    """The student is the linear model, the cloud a slightly different one; another one altogether if it is useless."""
    images, labels = pictures(seed, noise)
    matrix = weights(seed)
    cloud = weights(seed + 1) if useless else matrix + np.float32(0.05) * weights(seed + 1)
    first, second = np.arange(CLASSES), np.arange(CLASSES, 2 * CLASSES)
    chosen = images[: 2 * GOLDENS : 2]
    return Goldens(
        golden_images=chosen,
        golden_tensors=np.ascontiguousarray(chosen.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255),
        golden_embeddings=embed(chosen, matrix),
        retrieval_images=images,
        retrieval_labels=labels,
        retrieval_student=embed(images, matrix),
        retrieval_cloud=embed(images, cloud),
        tasks=(RetrievalTask("a>b", first, second), RetrievalTask("b>a", second, first)),
        texts=texts(embed(images, cloud)) if with_texts else None,
    )


def write_bundle(
    path: Path,
    *,
    name: str = "tiny",
    space: EmbeddingSpace = SPACE,
    formats: tuple[str, ...] = ("onnx", "litert", "coreml"),
    model_seed: int = 0,
    with_originals: bool = True,
    useless: bool = False,
    noise: int = NOISE,
    texts: bool = False,
) -> Path:
    """Write a bundle.

    With another ``model_seed`` than 0 its models are not those of the goldens. A ``useless`` student is reproduced by
    every file and finds nothing in the cloud's gallery.
    """
    path.mkdir(parents=True)
    matrix = weights(model_seed)
    files = {"onnx": "model.fp32.onnx", "litert": "model.fp32.tflite", "coreml": "model.fp32.mlpackage/Manifest.json"}
    for format in formats:
        file = path / files[format]
        file.parent.mkdir(exist_ok=True)
        if format == "onnx":
            write_onnx(file, matrix, space.space_id)
        elif format == "litert":
            write_litert(file, matrix)
        else:
            write_coreml(file.parent, matrix)
    (path / "README.md").write_text("# tiny\n")
    if texts:
        space = dataclasses.replace(space, text=TextSide("tiny texts"))
    space.save(path / "space.json")
    (path / "preprocess.json").write_text(json.dumps(PREPROCESSING.to_dict()))
    held = goldens(useless=useless, noise=noise, with_texts=texts)
    held.save(path / "goldens.safetensors")
    if with_originals:
        write_originals(path, originals(noise))
    list_files(path, name, space, texts=texts_entry(held.texts, held.retrieval_cloud))
    return path


def list_files(
    path: Path, name: str = "tiny", space: EmbeddingSpace = SPACE, *, texts: TextsEntry | None = None
) -> None:
    """Write the manifest of what is in the directory."""
    entries = tuple(
        FileEntry(file.relative_to(path).as_posix(), hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "manifest.json"
    )
    held = {entry.path: entry for entry in entries}
    made = Manifest(
        name=name,
        hetero="0.1.0",
        space_id=space.space_id,
        source="1" * 64,
        macs=HEIGHT * WIDTH * 3 * DIMENSION,
        parameters=HEIGHT * WIDTH * 3 * DIMENSION,
        models=tuple(
            _model(format, file, held) for format, file in _FILES.items() if any(f.startswith(file) for f in held)
        ),
        tasks=tuple(TaskEntry(task.name, task.exclude_self) for task in goldens().tasks),
        files=entries,
        texts=texts,
    )
    (path / "manifest.json").write_text(json.dumps(made.to_dict()))


_FILES = {"onnx": "model.fp32.onnx", "litert": "model.fp32.tflite", "coreml": "model.fp32.mlpackage"}


def _model(format: str, file: str, held: dict[str, FileEntry]) -> ModelEntry:
    from export.bundle.manifest import combined_digest

    own = tuple(entry for path, entry in held.items() if path == file or path.startswith(file + "/"))
    sha256, size = combined_digest(own, file)
    apple = format == "coreml"
    return ModelEntry(
        file=file,
        format=format,  # type: ignore[arg-type]
        precision="fp32",
        sha256=sha256,
        size=size,
        input=TensorEntry(
            "image", "image-rgb" if apple else "uint8", (HEIGHT, WIDTH) if apple else (1, HEIGHT, WIDTH, 3)
        ),
        output=TensorEntry("embedding", "float32", (1, DIMENSION)),
        versions={"numpy": np.__version__},
        checked="not verified" if apple else "pass",
        min_cosine=None if apple else 1.0,
    )
