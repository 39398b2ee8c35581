"""A metric is declared once: one that is defined in this file alone is measured, shown, gated and chosen by."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from device_tests.checks.gates import Gates
from device_tests.ladder.verify import verify
from device_tests.report import write_report
from device_tests.verdict.policy import Policy
from hetero.compare.compare import _choose
from hetero.compare.config import Comparison, parse_comparison
from hetero.compare.measure import Seed
from hetero.compare.work import EMBEDDINGS
from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError
from hetero.evaluation.matrix import CompatibilityMatrix, compatibility_matrix
from hetero.files import read_json
from hetero.metrics import (
    Found,
    Metric,
    RetrievalTask,
    evaluate,
    evaluate_tasks,
    mean_interval,
    metric_called,
    register,
    registered,
)
from hetero.nas.config import SearchConfig
from hetero.space import EmbeddingSpace
from hetero.training.config import TrainingConfig
from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS
from tests.device_tests.tiny_bundle import CLASSES, goldens, write_bundle
from tests.hetero.compare.test_config import VALID


def reciprocal(found: Found) -> NDArray[np.float64]:
    first = found.right.argmax(axis=1)
    return np.where(found.right.any(axis=1), 1 / (1 + first), 0.0)


TOY = Metric("reciprocal", "1 / rank of the first relevant image, 0 beyond the tenth", reciprocal, depth=10)


@pytest.fixture
def toy() -> Iterator[Metric]:
    with registered(TOY) as metric:
        yield metric


def on_a_circle(degrees: list[float]) -> NDArray[np.float32]:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


GALLERY, LABELS = on_a_circle([0, 20, 40, 60]), np.array([0, 1, 1, 2])


def test_it_is_measured_wherever_retrieval_is(toy: Metric) -> None:
    # From 0 degrees the gallery is seen in its order: class 0 is first, class 1 second, class 2 fourth.
    values = evaluate(on_a_circle([0, 0, 0]), GALLERY, np.array([0, 1, 2]), LABELS)
    assert values["reciprocal"].tolist() == [1, 1 / 2, 1 / 4]


def test_it_is_gone_afterwards_and_a_name_is_given_once(toy: Metric) -> None:
    for name in ("reciprocal", "map@r", "cmc@3", "recall@k"):
        with pytest.raises(InputError, match=f"there is a metric called '{name}' already"):
            register(Metric(name, "", reciprocal))


def test_without_it_nothing_knows_it() -> None:
    with pytest.raises(InputError, match="expected one of cmc@1, cmc@10, map@r, cmc@k, recall@k, got 'reciprocal'"):
        metric_called("reciprocal")
    choices = r"Input should be 'cmc@1', 'cmc@10', 'map@r', 'cmc@k' or 'recall@k'; got 'reciprocal'"
    with pytest.raises(InputError, match=f"metric: {choices}"):
        parse_comparison(VALID | {"metric": "reciprocal"}, what="x")
    with pytest.raises(InputError, match=f"metric: {choices}"):
        SearchConfig(metric="reciprocal")
    with pytest.raises(InputError, match="metrics: expected one of cmc@1"):
        Gates(metrics={"reciprocal": 0.5})


def test_the_matrix_and_its_file_hold_it(toy: Metric, tmp_path: Path) -> None:
    matrix_of_the_bundle().save(tmp_path / "matrix.json")
    matrix = CompatibilityMatrix.load(tmp_path / "matrix.json")
    held = goldens()
    own = evaluate_tasks(held.retrieval_student, held.retrieval_cloud, held.retrieval_labels, held.tasks)
    value, interval = matrix.value("reciprocal", "tiny", "cloud"), matrix.intervals["reciprocal"]["tiny"]["cloud"]
    assert value == own.mean("reciprocal") and interval is not None and interval.low < interval.value < interval.high
    assert value > own.mean("cmc@1") > 0
    assert set(matrix.per_task["reciprocal"]) == {"a>b", "b>a"}
    assert [rule.metric for rule in matrix.rules] == ["cmc@1", "cmc@10", "map@r", "reciprocal"]


def test_the_report_shows_it_and_a_gate_on_it_fails_a_bundle(toy: Metric, tmp_path: Path) -> None:
    bundle, policy = write_bundle(tmp_path / "bundle", formats=("onnx",)), tmp_path / "policy.toml"
    policy.write_text("[gates.metrics]\nreciprocal = 0.9\n", encoding="utf-8")
    verdict = verify([bundle], ["desktop"], tmp_path / "out", Policy.load(policy))
    (row,) = (row for row in verdict.rows if row.rung == "retrieval")
    assert verdict.exit_code == 1 and row.status == "fail"
    held = goldens()
    found = evaluate_tasks(held.retrieval_student, held.retrieval_cloud, held.retrieval_labels, held.tasks)
    figure = mean_interval(found.per_query("reciprocal"))
    assert CLASSES < 30  # so that queries are resampled
    told = f"reciprocal is {figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]; the floor is 0.9"
    assert row.reason == told and row.figures["reciprocal"] == pytest.approx(figure.value)
    page = tmp_path / "report.html"
    write_report(
        page,
        rows=read_json(tmp_path / "out" / "verdict.json"),
        matrix=matrix_of_the_bundle().to_dict(),
        bundles=[bundle],
        embeddings=tmp_path / "out" / "embeddings",
    )
    text = page.read_text(encoding="utf-8")
    assert "<figcaption>reciprocal</figcaption>" in text and told in text
    assert "<dt>metrics</dt><dd>reciprocal 0.9</dd>" in text
    loose = Policy(Gates(metrics={"reciprocal": 0.1}))
    assert verify([bundle], ["desktop"], tmp_path / "loose", loose).exit_code == 0


def test_a_gate_is_a_ceiling_where_smaller_is_better(tmp_path: Path) -> None:
    rank = Metric("first rank", "", lambda found: 1 + found.right.argmax(axis=1), depth=48, larger_is_better=False)
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    with registered(rank):
        (row,) = (
            row
            for row in verify([bundle], ["desktop"], tmp_path / "out", Policy(Gates(metrics={"first rank": 1.5}))).rows
            if row.rung == "retrieval"
        )
        with pytest.raises(InputError, match="metric: Input should be"):
            SearchConfig(metric="first rank")
    assert row.status == "fail" and row.reason.endswith("; at most 1.5 is allowed")


def test_undefined_values_are_left_out_of_means_and_are_none_in_the_matrix() -> None:
    of_pairs = Metric("seldom", "", lambda found: np.where(found.relevant > 1, found.right[:, 0], np.nan), depth=1)
    never = Metric("never", "", lambda found: np.full(len(found.relevant), np.nan))
    tasks = [RetrievalTask("all", np.arange(4), np.arange(4)), RetrievalTask("two", np.arange(2), np.arange(4))]
    labels = np.array([0, 0, 1, 2])
    with registered(of_pairs), registered(never):
        result = evaluate_tasks(GALLERY, GALLERY, labels, tasks)
        matrix = compatibility_matrix({"a": GALLERY, "b": GALLERY}, labels, tasks, gallery_model="a", resamples=50)
    assert np.isnan(result.values[0]["seldom"]).tolist() == [False, False, True, True]
    assert matrix.value("seldom", "a", "a") == 1 and matrix.intervals["seldom"]["a"]["a"].low == 1
    assert matrix.value("never", "a", "a") is None and matrix.intervals["never"]["a"]["a"] is None
    assert matrix.per_task["never"]["two"]["a"]["b"] is None
    assert {rule.metric for rule in matrix.rules} == {"cmc@1", "cmc@10", "map@r", "seldom"}


def test_an_interval_is_of_the_values_that_there_are() -> None:
    values, labels = np.array([0.0, 1.0, np.nan, 1.0, np.nan]), np.array([0, 1, 1, 2, 3])
    there = ~np.isnan(values)
    assert mean_interval(values).value == mean_interval(values, clusters=labels).value == pytest.approx(2 / 3)
    # A class without a value changes nothing but how often the others are drawn.
    by_class = mean_interval(values, clusters=labels, resamples=4000)
    without = mean_interval(values[there], clusters=labels[there], resamples=4000)
    assert (by_class.low, by_class.high) == (without.low, without.high) == (0, 1)


def test_searches_and_trainings_may_choose_by_it(toy: Metric) -> None:
    assert SearchConfig(metric="reciprocal").metric == "reciprocal"
    assert TrainingConfig(judged_by="reciprocal").judged_by == "reciprocal"


def test_a_comparison_chooses_by_it(toy: Metric, tmp_path: Path) -> None:
    """Of two variants one is ahead in map@r, the other in the toy."""
    comparison = {name: comparison_by(name, tmp_path) for name in ("map@r", "reciprocal")}
    seed = Seed(comparison["map@r"], tmp_path / "seed-3", 3)
    sets = (seed.dataset.train, seed.dataset.validation, seed.dataset.test)
    names = [name for one in sets for name in one.names]
    drawn = np.random.default_rng(0)
    cloud = unit(drawn.normal(size=(len(names), 6)))
    space = EmbeddingSpace.define(defined_by="0" * 64, name="cloud", version="1", dimension=6)
    save_embeddings(tmp_path / "seed-3" / "cloud" / CLOUD_EMBEDDINGS, cloud, names, space)
    shown: list[tuple[float, float, NDArray[np.float32]]] = []
    for _ in range(40):
        vectors = unit(cloud + drawn.normal(size=cloud.shape))
        place = tmp_path / "seed-3" / "embeddings" / "contrast.1" / EMBEDDINGS
        save_embeddings(place, vectors, names, space)
        shown.append((*(validation(comparison[name], tmp_path, "contrast.1") for name in comparison), vectors))
    one, other = next((a, b) for a in shown for b in shown if a[0] > b[0] and a[1] < b[1])
    for number, (_, _, vectors) in enumerate((one, other), start=1):
        place = tmp_path / "seed-3" / "embeddings" / f"contrast.{number}" / EMBEDDINGS
        save_embeddings(place, vectors, names, space)
    chosen = {name: _choose(each, Seed(each, tmp_path / "seed-3", 3), "contrast") for name, each in comparison.items()}
    assert chosen == {"map@r": "contrast.1", "reciprocal": "contrast.2"}
    measured = Seed(comparison["reciprocal"], tmp_path / "seed-3", 3).measure(
        comparison["reciprocal"].methods[2], "contrast.2"
    )
    assert "reciprocal" in measured.asymmetric.metrics


def matrix_of_the_bundle() -> CompatibilityMatrix:
    held = goldens()
    embeddings = {"cloud": held.retrieval_cloud, "tiny": held.retrieval_student}
    return compatibility_matrix(
        embeddings, held.retrieval_labels, held.tasks, gallery_model="cloud", resamples=100, space_id="0"
    )


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def validation(comparison: Comparison, root: Path, student: str) -> float:
    return Seed(comparison, root / "seed-3", 3).measure(comparison.methods[2], student).validation


def comparison_by(metric: str, root: Path) -> Comparison:
    if not (root / "photos").is_dir():
        for split, classes in (("train", "abcd"), ("validation", "efg"), ("test", "hi")):
            for label in classes:
                (root / "photos" / split / label).mkdir(parents=True)
                for number in range(4):
                    Image.new("RGB", (16, 16)).save(root / "photos" / split / label / f"{number}.png")
    value: dict[str, Any] = copy.deepcopy(VALID)
    value |= {"metric": metric, "data": {"kind": "folder", "path": str(root / "photos")}, "cloud": {"copies": 0}}
    return parse_comparison(value, what="x")
