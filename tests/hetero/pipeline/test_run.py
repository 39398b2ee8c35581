"""A whole run on generated photos: stages, ``kill -9`` in the middle, and a student without the cloud's code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hetero
from hetero.files import write_json
from hetero.pipeline.commands.run import _retry_unverified
from tests.hetero.pipeline.bands import write_bands

RECIPE = """
name = "tiny"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 24
width = 24
[cloud]
{cloud}
[[students]]
name = "edge"
model = {{ stem_channels = 8, stages = [{{ channels = 8, stride = 2 }}] }}
training = {{ steps = {steps}, classes_per_batch = 4, images_per_class = 4, validate_every = 20, checkpoint_every = 5 }}
"""
TRAINED = """
model = {{ family = "residual", dimension = 16, stem_channels = 8, stages = [{{ channels = 16, stride = 2 }}] }}
training = {{ steps = {steps}, classes_per_batch = 4, images_per_class = 4, validate_every = 20, checkpoint_every = 5 }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("run")
    counts = {"train": 8, "validation": 4, "test": 5}
    write_bands(place / "photos", counts, side=30, step=5, width=9)
    return place


def write_recipe(folder: Path, name: str, steps: int = 60, cloud: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(RECIPE.format(steps=steps, cloud=cloud or TRAINED.format(steps=steps)), encoding="utf-8")
    return path


def start(folder: Path, recipe: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hetero", "evaluate", str(recipe), "--out", str(out), *options]
    environment = {**os.environ, "HETERO_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def finish(folder: Path, recipe: Path, out: Path, *options: str) -> str:
    process = start(folder, recipe, out, *options)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def kill_when(process: subprocess.Popen[str], path: Path) -> None:
    """Send SIGKILL as soon as a file exists."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def results(out: Path) -> dict[str, bytes]:
    names = ("cloud/model.safetensors", "cloud/embeddings.safetensors", "cloud/space.json",
             "students/edge/model.safetensors", "students/edge/metrics.json", "matrix.json")  # fmt: skip
    return {name: (out / name).read_bytes() for name in names}


@pytest.mark.slow
def test_a_run_killed_twice_continues_and_equals_an_uninterrupted_one(folder):
    recipe = write_recipe(folder, "killed", steps=120)
    whole, killed = folder / "whole", folder / "killed"
    finish(folder, recipe, whole)
    kill_when(start(folder, recipe, killed), killed / ".partial" / "cloud" / "checkpoint.safetensors")
    assert not (killed / "cloud").exists()
    kill_when(start(folder, recipe, killed), killed / ".partial" / "students" / "edge" / "checkpoint.safetensors")
    last = finish(folder, recipe, killed)
    assert "cloud: up to date" in last
    assert results(killed) == results(whole)
    assert not list(killed.rglob("checkpoint.safetensors"))
    again = finish(folder, recipe, killed)
    assert again.count("up to date") == 4 and "done in" not in again


CONTROL = """
[[students]]
name = "control"
independent = true
objectives = [{ name = "own_head" }]
model = { stem_channels = 8, stages = [{ channels = 8, stride = 2 }] }
training = { steps = 20, classes_per_batch = 4, images_per_class = 4, validate_every = 20, checkpoint_every = 5 }
"""


@pytest.mark.slow
def test_stages_side_by_side_give_the_bits_of_one_after_another(folder):
    recipe = write_recipe(folder, "beside", steps=20)
    recipe.write_text(recipe.read_text() + CONTROL)
    names = ("cloud", "students/edge", "students/control")
    found: list[dict[str, bytes]] = []
    for jobs in ("1", "2"):
        out = folder / f"jobs-{jobs}"
        finish(folder, recipe, out, "--jobs", jobs)
        weights = {name: (out / name / "model.safetensors").read_bytes() for name in names}
        found.append(results(out) | weights)
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_student_learns_from_a_file_of_embeddings_alone(folder):
    finish(folder, write_recipe(folder, "first"), folder / "first")
    given = f'embeddings = "{(folder / "first" / "cloud" / "embeddings.safetensors").as_posix()}"'
    finish(folder, write_recipe(folder, "second", cloud=given), folder / "second")
    spaces = [
        json.loads((folder / run / "students/edge/space.json").read_text())["space_id"] for run in ("first", "second")
    ]
    assert spaces[0] == spaces[1]
    matrix = json.loads((folder / "second" / "matrix.json").read_text())
    chance = 0.25
    assert matrix["metrics"]["cmc@1"]["edge"]["cloud"] > chance + 0.2


def test_what_was_not_verified_is_tried_and_reported_again(tmp_path: Path) -> None:
    marks = [tmp_path / stage / "stage.json" for stage in ("verification", "report", "evaluation")]
    for code, left in ((0, [True, True, True]), (3, [False, False, True])):
        for mark in marks:
            write_json(mark, {"identity": "0"})
        write_json(tmp_path / "verification" / "summary.json", {"exit_code": code})
        _retry_unverified(tmp_path)
        assert [mark.exists() for mark in marks] == left


def test_a_recipe_runs_from_python_as_a_file_and_as_a_value(folder: Path, tmp_path: Path) -> None:
    file = write_recipe(folder, "python")
    recipe = hetero.load_recipe(file)
    for asked, out in ((file, tmp_path / "file"), (str(file), tmp_path / "text"), (recipe, tmp_path / "value")):
        assert hetero.run(asked, out, until="data", jobs=1) == 0
        assert json.loads((out / "data" / "data.json").read_text())["sets"]["train"]["images"] == 32
        assert not (out / "cloud").exists()
    with pytest.raises(hetero.InputError, match="expected one of data, cloud"):
        hetero.run(recipe, tmp_path / "none", until="lunch")
    assert not (tmp_path / "none").exists()
