"""The fleet: cloud models of several generations and their students, each as query model against every gallery."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64

from hetero.data.config import DataConfig
from hetero.data.decoding.decode import decoding_key
from hetero.data.images import Dataset
from hetero.data.prepare import prepare
from hetero.errors import InputError
from hetero.evaluation.heatmap import heatmap
from hetero.evaluation.matrix import CompatibilityMatrix, compatibility_matrix
from hetero.files import write_bytes, write_json
from hetero.gallery.truncate import truncated
from hetero.metrics.upgrade import average_compatibility
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.schema import record
from hetero.upgrade.earlier import EarlierModel

# For files of embeddings only names are needed, not pixels, so images are prepared at a small size.
_NAMES_ONLY = Preprocessing(height=16, width=16)


@record
class Fleet:
    """The figures of models that share spaces.

    Attributes:
        matrix: M over all pairs; where dimensions differ, longer vectors are mapped to T(phi), see
            :func:`hetero.gallery.truncate.truncated`.
        spaces: Model -> id of its space.
        generations: The first model of each space, in the order given: from first to latest.
        ac: Metric -> average compatibility of the generations, the share of pairs i > j with M(i, j) > M(j, j);
            None with one generation.
    """

    matrix: CompatibilityMatrix
    spaces: dict[str, str]
    generations: tuple[str, ...]
    ac: dict[str, float | None]
    schema: Literal["hetero/fleet/1"] = "hetero/fleet/1"

    def save(self, directory: Path, *, metric: str = "cmc@1") -> None:
        """Write ``matrix.json``, ``matrix.svg`` and ``fleet.json``."""
        self.matrix.save(directory / "matrix.json")
        write_bytes(directory / "matrix.svg", heatmap(self.matrix, metric))
        rest: dict[str, Any] = dataclasses.asdict(self)
        del rest["matrix"]
        write_json(directory / "fleet.json", rest)


def measure_fleet(config: DataConfig, members: Mapping[str, Path], *, cache: Path | None = None) -> Fleet:
    """Measure every member as query model against every member as gallery model, on one data set's test images.

    Args:
        config: The data; each model gets the images by its own preprocessing.
        members: Name -> model directory or file of embeddings of all test images; cloud models from first to latest,
            each before its students.
        cache: Folder that keeps decoded images.

    Raises:
        InputError: When there are fewer than two members, or one is missing or lacks images; lists every problem.
    """
    models = _opened(members)
    datasets: dict[str, Dataset] = {}
    embeddings: dict[str, Float32[np.ndarray, "n d"]] = {}
    for name, model in models.items():
        source = model.source
        preprocessing = source.preprocessing if isinstance(source, EmbeddingModel) else _NAMES_ONLY
        key = decoding_key(preprocessing)
        if key not in datasets:
            datasets[key] = prepare(config, preprocessing, cache=cache)
        embeddings[name] = model.embed(datasets[key].test)
    any_size = next(iter(datasets.values()))
    matrix = compatibility_matrix(
        embeddings, np.asarray(any_size.test.labels), any_size.test_tasks, shortened=truncated
    )
    spaces = {name: model.space.space_id for name, model in models.items()}
    generations = tuple({space: name for name, space in reversed(spaces.items())}.values())[::-1]
    ac = {metric: _ac(matrix, metric, generations) for metric in matrix.metrics}
    return Fleet(matrix, spaces, generations, ac)


def _opened(members: Mapping[str, Path]) -> dict[str, EarlierModel]:
    problems = [f"expected at least two models, got {len(members)}"] if len(members) < 2 else []
    models: dict[str, EarlierModel] = {}
    for name, path in members.items():
        try:
            models[name] = EarlierModel.open(path)
        except InputError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise InputError("cannot measure this fleet:", problems)
    return models


def _ac(matrix: CompatibilityMatrix, metric: str, generations: tuple[str, ...]) -> float | None:
    if len(generations) < 2:
        return None
    figures: Float64[np.ndarray, "t t"] = np.array(
        [[matrix.value(metric, query, gallery) for gallery in generations] for query in generations], np.float64
    )
    return average_compatibility(figures)
