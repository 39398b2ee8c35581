"""Versions of an application against versions of the gallery. Everything real except training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device_tests.checks.gates import Gates
from device_tests.fleet.measured import Pair, measure, upgrades
from device_tests.targets.desktop import Desktop
from export.bundle.goldens import RetrievalSet
from hetero.cli.main import main
from hetero.errors import InputError
from hetero.files import read_json
from hetero.space import EmbeddingSpace
from tests.device_tests.tiny_bundle import SPACE, goldens, list_files, write_bundle
from tests.device_tests.tiny_models import embed, weights


def cloud(seed: int, *, away: bool = False) -> NDArray[np.float32]:
    """A cloud near the first application's model, or one that has nothing to do with it."""
    matrix = weights(seed) if away else weights(0) + np.float32(0.05) * weights(seed)
    return embed(goldens().retrieval_images, matrix.astype(np.float32))


def gallery(path: Path, vectors: NDArray[np.float32], name: str, *, leave_out: int = 0) -> Path:
    held = goldens()
    keep = len(vectors) - leave_out
    space = EmbeddingSpace.define(defined_by=name, name=name, version="1", dimension=vectors.shape[1])
    tasks = tuple(
        dataclasses.replace(task, query=task.query[task.query < keep], gallery=task.gallery[task.gallery < keep])
        for task in held.tasks
    )
    names = tuple(map(str, range(keep)))
    parts = (held.retrieval_images[:keep], held.retrieval_labels[:keep], vectors[:keep])
    RetrievalSet(*parts, tasks=tasks, names=names, space=space).save(path)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Application 1 with its gallery, a later one near it and one that is not, which is application 2's."""
    folder = tmp_path_factory.mktemp("fleet")
    write_bundle(folder / "app1", formats=("onnx",))
    second = write_bundle(folder / "app2", formats=("onnx",), name="second", model_seed=7)
    dataclasses.replace(goldens(), retrieval_cloud=cloud(7, away=True)).save(second / "goldens.safetensors")
    list_files(second, "second", SPACE)
    gallery(folder / "near", cloud(2), "near")
    gallery(folder / "far", cloud(7, away=True), "far")
    gallery(folder / "short", cloud(2), "short", leave_out=3)
    longer = np.concatenate([cloud(2), np.zeros((len(goldens().retrieval_images), 4), np.float32)], axis=1)
    gallery(folder / "longer", longer, "longer")
    return folder


def pairs_of(
    place: Path, apps: Mapping[str, str], galleries: list[str], *, precision: str = "fp32", gates: Gates | None = None
) -> dict[tuple[str, str], Pair]:
    target = Desktop()
    bundles, versions = {name: place / path for name, path in apps.items()}, {one: place / one for one in galleries}
    try:
        found = measure(bundles, versions, target, precision=precision, gates=gates)
    finally:
        target.close()
    return {(pair.app, pair.gallery): pair for pair in found}


def test_figures_decide_which_pairs_serve(place: Path) -> None:
    gates = Gates(largest_loss=0.05)
    found = pairs_of(place, {"1": "app1", "2": "app2"}, ["app1", "near", "far"], gates=gates)
    assert {key: pair.answer for key, pair in found.items()} == {
        ("1", "app1"): "serves",
        ("1", "near"): "serves",
        ("1", "far"): "blocked",
        ("2", "app1"): "blocked",
        ("2", "near"): "blocked",
        ("2", "far"): "serves",
    }
    own, blocked = found["1", "app1"], found["1", "far"]
    assert (own.loss, own.lost, own.same_space) == (0.0, 0, True)
    assert blocked.cmc1 is not None and own.cmc1 is not None and blocked.loss is not None
    assert blocked.loss == pytest.approx(own.cmc1 - blocked.cmc1)
    assert blocked.lost is not None and blocked.lost >= blocked.queries * blocked.loss
    assert (blocked.same_space, blocked.queries) == (False, 48)
    assert "beside its own gallery's; a loss of 0.05 is allowed" in blocked.reason
    assert f"{blocked.lost} of 48 queries lose their right answer" in blocked.reason


def test_too_few_queries_are_not_measured(place: Path) -> None:
    """One of 48 is more than one in a hundred, and the interval holds zero: that neither serves nor is blocked."""
    found = pairs_of(place, {"1": "app1"}, ["app1", "near"])
    assert found["1", "app1"].answer == "serves"
    assert (found["1", "near"].answer, found["1", "near"].lost) == ("not measured", 1)
    assert found["1", "near"].reason.startswith("needs ")
    assert " queries: 1 of 48 queries lose their right answer" in found["1", "near"].reason


def test_cmc1_is_that_of_the_models_own_vectors(place: Path) -> None:
    """By hand: each query's nearest gallery vector."""
    held, right = goldens(), list[float]()
    queries, vectors = embed(held.retrieval_images, weights(0)), cloud(7, away=True)
    for task in held.tasks:
        nearest = task.gallery[(queries[task.query] @ vectors[task.gallery].T).argmax(axis=1)]
        right.append(float((held.retrieval_labels[nearest] == held.retrieval_labels[task.query]).mean()))
    assert pairs_of(place, {"1": "app1"}, ["far"])["1", "far"].cmc1 == pytest.approx(np.mean(right))


def test_what_was_not_measured_is_never_said_to_serve(place: Path) -> None:
    found = pairs_of(place, {"1": "app1"}, ["short", "longer"])
    assert found["1", "short"].answer == "not measured"
    assert "lacks 3 of the 48 images" in found["1", "short"].reason
    assert found["1", "longer"].answer == "blocked"
    assert "the gallery's" in found["1", "longer"].reason
    without = pairs_of(place, {"1": "app1"}, ["near"], precision="int8")
    assert (without["1", "near"].answer, without["1", "near"].cmc1) == ("not measured", None)
    assert without["1", "near"].reason == "the bundle holds no onnx int8 file"


def test_the_floor_blocks_too(place: Path) -> None:
    found = pairs_of(place, {"1": "app1"}, ["far"])["1", "far"].cmc1
    assert found is not None
    answers = [
        pairs_of(place, {"1": "app1"}, ["far"], gates=Gates(floor=floor, largest_loss=1.0))["1", "far"].answer
        for floor in (found, found + 0.01, found + 0.5)
    ]
    assert answers == ["serves", "not measured", "blocked"]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="at least one application"):
        measure({}, {}, Desktop())


def test_an_upgrade_breaks_what_the_earlier_gallery_serves() -> None:
    answers = {("1", "a"): "serves", ("1", "b"): "blocked", ("2", "a"): "serves", ("2", "b"): "serves"}
    answers |= {("3", "a"): "blocked", ("3", "b"): "serves", ("4", "a"): "serves", ("4", "b"): "not measured"}
    (change,) = upgrades([Pair(app, gallery, answer) for (app, gallery), answer in answers.items()])  # type: ignore[arg-type]
    assert (change.before, change.after) == ("a", "b")
    assert (change.breaks, change.keeps, change.unknown) == (("1",), ("2",), ("4",))


def test_the_command_tells_and_keeps_it(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apps = ["--app", f"1.0={place / 'app1'}", "--app", f"2.0={place / 'app2'}"]
    galleries = ["--gallery", f"old={place / 'app1'}", "--gallery", f"new={place / 'far'}"]
    with pytest.raises(SystemExit) as ended:
        main(["device", "fleet", *apps, *galleries, "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "| old -> new | 1.0 | - | - |" in said
    assert "| no change (0.000 to 0.000) |" in said and "| loses 0." in said
    kept = read_json(tmp_path / "out" / "fleet.json")
    assert [(pair["app"], pair["gallery"], pair["answer"]) for pair in kept["pairs"]] == [
        ("1.0", "old", "serves"),
        ("1.0", "new", "blocked"),
        ("2.0", "old", "blocked"),
        ("2.0", "new", "serves"),
    ]
    assert (tmp_path / "out" / "fleet.md").read_text() == said.removesuffix("\n")
    with pytest.raises(SystemExit) as ended:
        main(["device", "fleet", *apps, "--gallery", f"s={place / 'short'}", "--out", str(tmp_path / "out")])
    assert ended.value.code == 3
    with pytest.raises(SystemExit) as ended:
        main(["device", "fleet", "--app", str(place / "app1")])
    assert ended.value.code == 2
