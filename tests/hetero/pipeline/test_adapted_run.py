"""A run whose students are adapted to a new domain: one is and ships, another is refused and does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_tests.ladder.verify import verify
from device_tests.targets.host import detect
from hetero.errors import InputError
from hetero.evaluation.decisions import Decisions, negative_flips
from hetero.linear import Linearised, divided
from hetero.linear.measure import Adaptation
from hetero.linear.solver.anchor_file import load_factors
from hetero.models.directory import load_model
from tests.hetero.linear.domains import domain, write_all

RECIPE = """
name = "tiny"
data = { kind = "folder", path = "photos" }
preprocessing = { height = 16, width = 16 }
[cloud]
model = { family = "residual", dimension = 16, stem_channels = 8, stages = [{ channels = 16, stride = 2 }] }
training = { steps = 60, classes_per_batch = 6, images_per_class = 4, validate_every = 20 }
[[students]]
name = "soft"
model = { family = "residual", stem_channels = 8, stages = [{ channels = 24, stride = 2 }] }
training = { steps = 60, classes_per_batch = 6, images_per_class = 4, validate_every = 20 }
adapt = { data = { kind = "folder", path = "new" }, settings = { part = "neck", most_lost = 0.15 } }
anchor_factors = "neck"
[[students]]
name = "harsh"
model = { stem_channels = 8, stages = [{ channels = 8, stride = 2 }] }
training = { steps = 30, classes_per_batch = 6, images_per_class = 4, validate_every = 20 }
[students.adapt]
data = { kind = "folder", path = "negative" }
settings = { part = "neck", anchor_weight = 0.0, ridges = [0.01] }
[export]
formats = ["onnx"]
[verify]
targets = ["desktop"]
"""
MODELS = ("soft", "soft-adapted", "harsh")


def hetero(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HETERO_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "hetero", *words],
        cwd=place, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    place = tmp_path_factory.mktemp("adapted")
    for name, negated in (("photos", 0), ("new", 1), ("negative", 3)):
        write_all(domain(name, negated), place / name)
    (place / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return place, hetero(place, "run", "recipe.toml", "--out", "run")


@pytest.mark.slow
def test_what_passes_the_rule_ships_beside_its_student(run):
    place, ended = run
    assert Adaptation.load(place / "run/students/soft-adapted/adapt.json").refusals == (), ended.stderr
    adapted, before = (load_model(place / "run/students" / name) for name in ("soft-adapted", "soft"))
    assert adapted.name == "soft-adapted" and adapted.space == before.space
    assert sorted(path.parent.name for path in (place / "run/bundles").glob("*/bundle")) == sorted(MODELS)
    rows = json.loads((place / "run/verdict.json").read_text())
    own = {row["rung"]: row["status"] for row in rows if row["bundle"] == "soft-adapted"}
    assert own["loads"] == own["parity"] == own["preprocessing"] == "pass" and "retrieval" in own
    matrix = json.loads((place / "run/matrix.json").read_text())
    assert sorted(matrix["models"]) == sorted(["cloud", *MODELS])
    neck = Linearised(divided(before, "neck").upper)
    assert load_factors(place / "run/anchors/soft/anchors.safetensors", neck).images == len(domain("photos").train)


@pytest.mark.slow
def test_what_is_refused_ships_nothing_and_is_told(run):
    place, ended = run
    assert ended.returncode == 1, ended.stderr
    assert "harsh-adapted: refused: no model was written, since" in ended.stderr
    assert "answered wrong that were answered right" in ended.stderr and "soft-adapted: refused" not in ended.stderr
    assert not (place / "run/students/harsh-adapted/config.json").exists()
    page = (place / "run/report.html").read_text(encoding="utf-8")
    measured = Adaptation.load(place / "run/students/harsh-adapted/adapt.json")
    assert f"{measured.flips.low:.3f} to {measured.flips.high:.3f}" in page and "it was not exported" in page
    assert '<a href="bundles/soft-adapted/bundle/model.fp32.onnx" download>' in page
    assert hetero(place, "report", "run", "--out", "again.html").returncode == 0
    assert (place / "again.html").read_text(encoding="utf-8").count("soft-adapted") == page.count("soft-adapted")


@pytest.mark.slow
def test_flips_between_the_runs_models_are_explained(run):
    place = run[0]
    files = [place / "run/evaluation/decisions" / f"{name}.json" for name in ("soft", "soft-adapted")]
    before, after = map(Decisions.load, files)
    matrix = json.loads((place / "run/matrix.json").read_text())
    for name, found in (("soft", before), ("soft-adapted", after)):
        shares = [sum(answers.values()) / len(answers) for answers in found.tasks.values()]
        assert sum(shares) / len(shares) == pytest.approx(matrix["metrics"]["cmc@1"][name]["cloud"])
    ended = hetero(
        place, "explain", "run/students/soft-adapted", "--flips", *map(str, files), "--out", "flips.html"
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert f"{len(negative_flips(before, after))} test queries were right before" in ended.stdout


@pytest.mark.slow
@pytest.mark.emulator
def test_what_is_adapted_passes_on_the_emulated_phone(run, tmp_path):
    try:
        detect()
    except InputError as error:
        pytest.skip(str(error))
    verdict = verify([run[0] / "run/bundles/soft-adapted/bundle"], ["phone-arm64"], tmp_path / "out")
    assert [(row.rung, row.reason) for row in verdict.rows if row.status != "pass"] == []


@pytest.mark.slow
def test_a_killed_adaptation_continues_and_another_setting_trains_nothing_again(run):
    place = run[0]
    final, work = (place / "run" / part / "students/soft-adapted" for part in ("", ".partial"))
    weights = (final / "model.safetensors").read_bytes()
    # As a kill leaves it after the model was written and before the stage was done.
    record = json.loads((final / "stage.json").read_text())
    del record["finished"]
    work.parent.mkdir(parents=True, exist_ok=True)
    final.rename(work)
    (work / "stage.json").write_text(json.dumps(record))
    again = hetero(place, "run", "recipe.toml", "--out", "run", "--until", "students")
    assert again.returncode == 1 and "adapt soft: done in" in again.stderr and again.stderr.count("up to date") == 6
    assert (final / "model.safetensors").read_bytes() == weights
    recipe = RECIPE.replace("most_lost = 0.15", "most_lost = 0.2")
    (place / "other.toml").write_text(recipe, encoding="utf-8")
    other = hetero(place, "run", "other.toml", "--out", "run", "--until", "students")
    assert "adapt soft: done in" in other.stderr and other.stderr.count("up to date") == 6
