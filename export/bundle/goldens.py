"""Real images with their required vectors: enough to verify a bundle's retrieval with nothing else.

Evaluation passes a :class:`RetrievalSet` to the export; :class:`Goldens` is the part that ships in the bundle.
Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy.typing import NDArray

from export.bundle.golden_rows import with_copies, without_copies
from export.bundle.golden_texts import PREFIX, expected_texts, read_texts, text_problems, text_tensors
from export.bundle.manifest import TaskEntry
from export.bundle.originals import original_problems, pack, unpack
from export.bundle.tensors import read_tensors, require_tensors
from hetero.errors import IntegrityError
from hetero.files import canonical_json, write_bytes
from hetero.foreign import strict_json
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import CALIBRATION, RETRIEVAL
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse, record
from hetero.space import EmbeddingSpace
from hetero.text.described import DescribedImages

SCHEMA = "hetero/retrieval/1"
_SET_HEADER_LIMIT = 64 << 20
_UNIT_TOLERANCE = 1e-3

Expected = dict[str, tuple[str, tuple[int | str, ...]]]


@dataclass(frozen=True)
class RetrievalSet:
    """Images, their cloud embeddings, and retrieval tasks among them.

    Attributes:
        images: uint8 [m, h, w, 3], resized by the student's preprocessing.
        labels: int64 [m].
        cloud_embeddings: float32 [m, d], unit vectors of the cloud model, as in the gallery's index.
        tasks: Queries and galleries, as rows of ``images``.
        names: One for each image, for people.
        space: The embedding space of ``cloud_embeddings``, which says what is known of the texts.
        originals: Undecoded JPEG or PNG files of some of the images, by row: they let a target prove its own decoding.
        texts: Texts that describe some of the images; None for none.
    """

    images: UInt8[np.ndarray, "m h w 3"]
    labels: Int64[np.ndarray, " m"]
    cloud_embeddings: Float32[np.ndarray, "m d"]
    tasks: tuple[RetrievalTask, ...]
    names: tuple[str, ...]
    space: EmbeddingSpace
    originals: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    texts: DescribedImages | None = None

    def save(self, path: Path) -> None:
        """Write one safetensors file, atomically; names, tasks and space are JSON in its metadata.

        Raises:
            IntegrityError: If the parts do not fit together.
        """
        from safetensors.numpy import save

        _require_set(self, what=str(path))
        description = {
            "schema": SCHEMA,
            "names": list(self.names),
            "tasks": [{"name": task.name, "exclude_self": task.exclude_self} for task in self.tasks],
            "space": self.space.to_dict(),
        }
        tensors = {
            "images": self.images,
            "labels": self.labels,
            "cloud_embeddings": self.cloud_embeddings,
            **task_tensors(self.tasks),
            **pack(self.originals),
            **text_tensors(self.texts),
        }
        write_bytes(path, save(_contiguous(tensors), metadata={"hetero": canonical_json(description)}))

    @classmethod
    def load(cls, path: Path) -> RetrievalSet:
        """Read the file of :meth:`save`.

        Raises:
            InputError: If there is no such file.
            IntegrityError: If it is damaged or not a retrieval set.
        """
        refuse_others(path, RETRIEVAL, CALIBRATION)
        tensors, metadata = read_tensors(path, limit=_SET_HEADER_LIMIT)
        if "hetero" not in metadata:
            raise IntegrityError(f"{path} is not a retrieval set: write one with `hetero retrieval make`")
        value = strict_json(metadata["hetero"].encode(), what=f"the description in {path.name}")
        about = parse(_Description, value, what=f"the description in {path.name}", error=IntegrityError)
        expected = _set_tensors(len(about.tasks)) | _original_tensors(tensors)
        require_tensors(tensors, expected | expected_texts(tensors, "d"), what=str(path))
        loaded = cls(
            images=tensors["images"],
            labels=tensors["labels"],
            cloud_embeddings=tensors["cloud_embeddings"],
            tasks=read_tasks(tensors, about.tasks),
            names=about.names,
            space=about.space,
            originals=unpack(tensors),
            texts=read_texts(tensors, what=str(path)),
        )
        _require_set(loaded, what=str(path))
        return loaded


@record
class _Description:
    names: tuple[str, ...]
    tasks: tuple[TaskEntry, ...]
    space: EmbeddingSpace
    schema: str = field(default=SCHEMA)


@dataclass(frozen=True)
class Goldens:
    """The content of ``goldens.safetensors``.

    Attributes:
        golden_images: uint8 [n, h, w, 3], real images for the comparison with torch.
        golden_tensors: float32 [k, 3, h / shrink, w / shrink], the inputs of the network proper for the first of these
            images: enough to hold the contract against.
        golden_embeddings: float32 [n, d], torch's unit vectors of them.
        retrieval_images: uint8 [m, h, w, 3].
        retrieval_labels: int64 [m].
        retrieval_student: float32 [m, d], the student's vectors in torch.
        retrieval_cloud: float32 [m, d], the cloud model's vectors: the gallery.
        tasks: Queries and galleries, as rows of the retrieval arrays.
        texts: Texts that describe some of the retrieval images; None for none.
    """

    golden_images: UInt8[np.ndarray, "n h w 3"]
    golden_tensors: Float32[np.ndarray, "k 3 h2 w2"]
    golden_embeddings: Float32[np.ndarray, "n d"]
    retrieval_images: UInt8[np.ndarray, "m h w 3"]
    retrieval_labels: Int64[np.ndarray, " m"]
    retrieval_student: Float32[np.ndarray, "m d"]
    retrieval_cloud: Float32[np.ndarray, "m d"]
    tasks: tuple[RetrievalTask, ...]
    texts: DescribedImages | None = None

    @property
    def query_rows(self) -> Int64[np.ndarray, " q"]:
        """The retrieval rows that a device has to embed: the union of all tasks' queries, ascending."""
        return np.unique(np.concatenate([task.query for task in self.tasks]))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        arrays = {name: value for name, value in vars(self).items() if name not in ("tasks", "texts")}
        return _contiguous({**arrays, **task_tensors(self.tasks), **text_tensors(self.texts)})

    def save(self, path: Path) -> None:
        """Write one safetensors file, atomically; golden images that are retrieval images are stored once."""
        from safetensors.numpy import save

        write_bytes(path, save(without_copies(self.tensors())))

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        tasks: Sequence[TaskEntry],
        preprocessing: Preprocessing,
        dimension: int,
        texts: int = 0,
    ) -> Goldens:
        """Read and check the goldens of a bundle.

        Args:
            path: The file.
            tasks: The tasks of the manifest.
            preprocessing: The contract, with the size of the images.
            dimension: Length of an embedding.
            texts: Number of golden texts in the manifest.

        Raises:
            IntegrityError: If they are damaged or do not fit the bundle.
        """
        tensors = with_copies(read_tensors(path)[0], what=path.name)
        expected = _golden_tensors(preprocessing, dimension, len(tasks))
        expected |= expected_texts(tensors, dimension, count=texts)
        require_tensors(tensors, expected, what=path.name)
        loaded_tasks = read_tasks(tensors, tasks)
        arrays = {name: value for name, value in tensors.items() if not name.startswith(("task.", PREFIX))}
        loaded = cls(**arrays, tasks=loaded_tasks, texts=read_texts(tensors, what=path.name))
        problems = _task_problems(loaded_tasks, len(loaded.retrieval_images)) + _golden_text_problems(loaded.texts)
        for name in ("golden_embeddings", "retrieval_student", "retrieval_cloud"):
            problems += _unit_problems(name, getattr(loaded, name))
        if not np.isfinite(loaded.golden_tensors).all():
            problems.append("golden_tensors: holds values that are not finite")
        if not len(loaded.golden_images):
            problems.append("golden_images: is empty")
        if not 0 < len(loaded.golden_tensors) <= len(loaded.golden_images):
            problems.append("golden_tensors: expected those of one golden image or more")
        if problems:
            raise IntegrityError(f"{path.name} does not hold what it should:", problems)
        return loaded


def spread_rows(count: int, wanted: int) -> Int64[np.ndarray, " n"]:
    """Return at most ``wanted`` rows of ``count``, evenly spread, always the same ones."""
    return np.unique(np.linspace(0, count - 1, num=min(wanted, count)).round().astype(np.int64))


def task_tensors(tasks: Sequence[RetrievalTask]) -> dict[str, NDArray[Any]]:
    """Return the rows of each task by their name in the file."""
    queries = {f"task.{index}.query": task.query for index, task in enumerate(tasks)}
    return queries | {f"task.{index}.gallery": task.gallery for index, task in enumerate(tasks)}


def read_tasks(tensors: Mapping[str, NDArray[Any]], entries: Sequence[TaskEntry]) -> tuple[RetrievalTask, ...]:
    """Return tasks from their descriptions and the tensors of :func:`task_tensors`."""
    return tuple(
        RetrievalTask(entry.name, tensors[f"task.{index}.query"], tensors[f"task.{index}.gallery"], entry.exclude_self)
        for index, entry in enumerate(entries)
    )


def _contiguous(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    # safetensors writes the memory as it is, whatever the strides.
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def _task_shapes(count: int) -> Expected:
    sides = (f"task.{index}.{side}" for index in range(count) for side in ("query", "gallery"))
    return {name: ("I64", (f"rows of {name}",)) for name in sides}


def _set_tensors(tasks: int) -> Expected:
    return {
        "images": ("U8", ("m", "h", "w", 3)),
        "labels": ("I64", ("m",)),
        "cloud_embeddings": ("F32", ("m", "d")),
        **_task_shapes(tasks),
    }


def _original_tensors(tensors: Mapping[str, NDArray[Any]]) -> Expected:
    if "originals.rows" not in tensors:
        return {}
    return {
        "originals.rows": ("I64", ("originals",)),
        "originals.ends": ("I64", ("originals",)),
        "originals.bytes": ("U8", ("bytes of originals",)),
    }


def _golden_tensors(preprocessing: Preprocessing, dimension: int, tasks: int) -> Expected:
    height, width = preprocessing.height, preprocessing.width
    return {
        "golden_images": ("U8", ("n", height, width, 3)),
        "golden_tensors": ("F32", ("k", 3, height // preprocessing.shrink, width // preprocessing.shrink)),
        "golden_embeddings": ("F32", ("n", dimension)),
        "retrieval_images": ("U8", ("m", height, width, 3)),
        "retrieval_labels": ("I64", ("m",)),
        "retrieval_student": ("F32", ("m", dimension)),
        "retrieval_cloud": ("F32", ("m", dimension)),
        **_task_shapes(tasks),
    }


def _require_set(retrieval: RetrievalSet, *, what: str) -> None:
    tensors = {"images": retrieval.images, "labels": retrieval.labels, "cloud_embeddings": retrieval.cloud_embeddings}
    texts = text_tensors(retrieval.texts)
    expected = _set_tensors(len(retrieval.tasks)) | expected_texts(texts, "d")
    require_tensors(tensors | task_tensors(retrieval.tasks) | texts, expected, what=what)
    count, dimension = retrieval.cloud_embeddings.shape
    problems = _task_problems(retrieval.tasks, count) + _unit_problems("cloud_embeddings", retrieval.cloud_embeddings)
    problems += original_problems(retrieval.originals, count) + _golden_text_problems(retrieval.texts)
    if retrieval.texts is not None and retrieval.space.text is None:
        problems.append("texts: the space does not say whose they are; give it TextVectors.side")
    if len(retrieval.names) != count:
        problems.append(f"names: expected {count}, one for each image, got {len(retrieval.names)}")
    if dimension != retrieval.space.dimension:
        problems.append(
            f"cloud_embeddings: expected vectors of {retrieval.space.dimension} as its space says, got {dimension}"
        )
    if problems:
        raise IntegrityError(f"{what} is not a sound retrieval set:", problems)


def _task_problems(tasks: Sequence[RetrievalTask], count: int) -> list[str]:
    problems = [] if tasks else ["tasks: there is none"]
    for index, task in enumerate(tasks):
        for side, rows in (("query", task.query), ("gallery", task.gallery)):
            if not len(rows):
                problems.append(f"task.{index}.{side}: is empty")
            elif rows.min() < 0 or rows.max() >= count:
                problems.append(f"task.{index}.{side}: names rows outside the {count} images")
    return problems


def _golden_text_problems(texts: DescribedImages | None) -> list[str]:
    return [] if texts is None else [*_unit_problems("texts.vectors", texts.vectors), *text_problems(texts)]


def _unit_problems(name: str, vectors: NDArray[Any]) -> list[str]:
    if not len(vectors):
        return [f"{name}: is empty"]
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not np.isfinite(norms).all():
        return [f"{name}: holds values that are not finite"]
    off = int((np.abs(norms - 1) > _UNIT_TOLERANCE).sum())
    return [f"{name}: {off} of {len(vectors)} vectors do not have length one"] if off else []
