from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hetero.errors import InputError, IntegrityError
from hetero.evaluation.heatmap import heatmap
from hetero.evaluation.matrix import CompatibilityMatrix, ModelCost, compatibility_matrix
from hetero.metrics.bootstrap import Interval
from hetero.metrics.retrieval import evaluate
from hetero.metrics.task import RetrievalTask

CLASSES = 60
LABELS = np.repeat(np.arange(CLASSES), 3)
ROWS = np.arange(3 * CLASSES)
TASKS = (
    RetrievalTask("first>second", ROWS[::3], ROWS[1::3]),
    RetrievalTask("leave one out", ROWS, ROWS, exclude_self=True),
)


def noisy(rng: np.random.Generator, centres: np.ndarray, noise: float) -> np.ndarray:
    vectors = centres[LABELS] + noise * rng.standard_normal((len(LABELS), centres.shape[1]))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def embeddings() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, 16))
    return {
        "cloud": noisy(rng, centres, 0.3),
        "student": noisy(rng, centres, 0.9),
        "stranger": noisy(rng, rng.standard_normal((CLASSES, 16)), 0.3),
        "narrow": noisy(rng, rng.standard_normal((CLASSES, 8)), 0.3),
    }


@pytest.fixture(scope="module")
def matrix(embeddings: dict[str, np.ndarray]) -> CompatibilityMatrix:
    costs = {"cloud": ModelCost(1000, 50), "student": ModelCost(10, 5)}
    return compatibility_matrix(
        embeddings, LABELS, TASKS, gallery_model="cloud", costs=costs, space_id="s", resamples=500
    )


def test_a_cell_is_the_mean_over_tasks(matrix: CompatibilityMatrix, embeddings: dict[str, np.ndarray]) -> None:
    student, cloud = embeddings["student"], embeddings["cloud"]
    first = evaluate(student[::3], cloud[1::3], LABELS[::3], LABELS[1::3])["map@r"].mean()
    second = evaluate(student, cloud, LABELS, LABELS, exclude=ROWS)["map@r"].mean()
    assert matrix.value("map@r", "student", "cloud") == pytest.approx((first + second) / 2)
    assert matrix.per_task["map@r"]["first>second"]["student"]["cloud"] == pytest.approx(first)
    assert matrix.value("map@r", "cloud", "student") != matrix.value("map@r", "student", "cloud")
    interval = matrix.intervals["map@r"]["student"]["cloud"]
    assert interval is not None
    assert interval.low < interval.value < interval.high
    assert interval.value == pytest.approx(matrix.value("map@r", "student", "cloud"))


def test_the_rule(matrix: CompatibilityMatrix) -> None:
    rules = {(rule.query_model, rule.metric): rule for rule in matrix.rules}
    assert {name for name, _ in rules} == {"student", "stranger"}  # narrow cannot be compared with the gallery
    held = rules["student", "cmc@1"]
    assert (held.status, held.gallery_model) == ("holds", "cloud")
    assert 0 < held.low <= held.difference <= held.high
    assert held.difference == pytest.approx(held.asymmetric - held.symmetric)
    assert held.asymmetric == matrix.value("cmc@1", "student", "cloud")
    assert held.symmetric == matrix.value("cmc@1", "student", "student")
    broken = rules["stranger", "cmc@1"]
    assert broken.status == "fails"
    assert broken.asymmetric < 0.1 < broken.symmetric


def test_equal_models_do_not_hold_the_rule(embeddings: dict[str, np.ndarray]) -> None:
    twins = {"cloud": embeddings["cloud"], "copy": embeddings["cloud"]}
    (rule,) = (
        rule
        for rule in compatibility_matrix(twins, LABELS, TASKS, gallery_model="cloud", resamples=50).rules
        if rule.metric == "cmc@1"
    )
    assert (rule.difference, rule.status) == (0, "fails")


def test_a_pair_of_other_dimensions_is_missing_with_a_reason(matrix: CompatibilityMatrix) -> None:
    assert matrix.value("cmc@1", "narrow", "cloud") is None
    assert matrix.intervals["cmc@1"]["narrow"]["cloud"] is None
    assert matrix.value("cmc@1", "narrow", "narrow") is not None
    reasons = {(pair.query_model, pair.gallery_model): pair.reason for pair in matrix.missing}
    assert len(reasons) == 6
    assert reasons["narrow", "cloud"] == "vectors of 8 and 16 dimensions cannot be compared"


def test_survives_the_disk(matrix: CompatibilityMatrix, tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    matrix.save(path)
    assert CompatibilityMatrix.load(path) == matrix
    stored = json.loads(path.read_text())
    assert stored["models"] == ["cloud", "student", "stranger", "narrow"]
    assert stored["metrics"]["cmc@1"]["student"]["cloud"] == matrix.value("cmc@1", "student", "cloud")
    assert stored["metrics"]["cmc@1"]["student"]["narrow"] is None
    assert stored["costs"]["student"] == {"macs": 10, "parameters": 5}


def test_refuses_other_files(matrix: CompatibilityMatrix, tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    with pytest.raises(InputError, match="found no file"):
        CompatibilityMatrix.load(path)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="is not JSON"):
        CompatibilityMatrix.load(path)
    path.write_text(json.dumps(matrix.to_dict() | {"modles": []}))
    with pytest.raises(IntegrityError, match="modles: unknown key"):
        CompatibilityMatrix.load(path)


def test_refuses_unknown_models(embeddings: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"(?s)gallery_model: .*got 'clud'.*costs: .*\['x'\]"):
        compatibility_matrix(embeddings, LABELS, TASKS, gallery_model="clud", costs={"x": ModelCost(1, 1)})


def test_the_picture_shows_every_name_and_value(matrix: CompatibilityMatrix) -> None:
    picture = heatmap(matrix, "cmc@1")
    text = picture.decode()
    for query in matrix.models:
        assert text.count(f">{query}<") == 2  # its row and its column
        for gallery in matrix.models:
            value = matrix.value("cmc@1", query, gallery)
            assert ("not comparable" if value is None else f">{value:.3f}<") in text
    assert text.count("not comparable") == len(matrix.missing)
    assert "query model" in text
    assert "gallery model" in text
    assert heatmap(matrix, "cmc@1") == picture
    assert heatmap(matrix, "cmc@1", format="png").startswith(b"\x89PNG")
    with pytest.raises(InputError, match="got 'recall'"):
        heatmap(matrix, "recall")


def test_the_picture_of_many_models_has_bounds(matrix: CompatibilityMatrix) -> None:
    names = tuple(f"m{number}" + number % 2 * 30 * " long" for number in range(81))
    rows = {query: dict.fromkeys(names, 0.5) for query in names}
    ends = {query: dict.fromkeys(names, Interval(0.5, 0.4, 0.6)) for query in names}
    many = replace(matrix, models=names, metrics={"cmc@1": rows}, intervals={"cmc@1": ends})
    with Image.open(io.BytesIO(heatmap(many, format="png"))) as picture:
        assert picture.width < 6000 and picture.height < 3000
    text = heatmap(many).decode()
    assert "0.500" not in text, "no figures"
    assert len(re.findall(">m[0-9]+<", text)) == 2 * 41, "every second name, as row and as column"
    few = replace(many, models=names[1:2])
    assert f">{names[1][:45]}...<" in heatmap(few).decode() and ">0.500<" in heatmap(few).decode()
