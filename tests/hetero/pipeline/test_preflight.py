"""Every mistake of a recipe is told before anything runs, all of them at once."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.draft import Draft, draft, load_recipe
from hetero.space import EmbeddingSpace

TORCH_AND_CHECKS_S = 6.0
"""Processor time, most of it for torch; a machine that is busy with other tests takes a multiple of its usual 2 s."""

WRONG = """
name = "wrong"
seed = -1
[data]
kind = "folder"
path = "photos"
test_share = 1.5
[preprocessing]
height = 32
width = 32
std = [0.0, 0.5, 0.5]
pad_value = 300
[cloud]
embeddings = "vectors.npy"
preprocessing = { height = 1000000000, width = 32 }
[cloud.copies_augment]
scale = [1.2, 0.8]
[[students]]
name = "shared"
max_macs_share = 0.0001
live = true
training = { learning_rate = nan, threads = -1, weight_decay = -1.0, clip = -1.0, steps = 0, precision = "fp8" }
[[students]]
name = "small"
max_macs = 10
objectives = [{ name = "focal_update" }, { name = "cloud_regresion" }]
[[students]]
name = "smal/er"
max_parameters = 10
head = { margin = -1.0 }
model = { family = "edges", stages = [{ channels = 0 }] }
[[tiers]]
name = "watch"
budget = "macs <= 10"
[[tiers]]
name = "phone"
budget = "macs <= cloud/40 and latency_ms.litert <= 1 and partitions.gpu <= 1"
[search]
algorithm = { mutation = 0.0 }
[export]
formats = ["coreml"]
precisions = ["int8"]
goldens = 0
[verify]
targets = ["desktp"]
largest_loss = 2.0
"""
TOLD = (
    "seed: expected 0 or more, got -1",
    "data.test_share: expected a number below 1, got 1.5",
    "preprocessing.std.0: expected a number above 0, got 0.0",
    "preprocessing.pad_value: expected at most 255, got 300",
    "cloud.preprocessing.height: expected at most 8192, got 1000000000",
    "cloud.copies_augment.scale: expected the smallest value first, got [1.2, 0.8]",
    "cloud.embeddings: 26 of 26 images have no embedding",
    "students.0.training.learning_rate: expected a finite number, got nan",
    "students.0.training.threads: expected 0 or more, got -1",
    "students.0.training.weight_decay: expected 0 or more, got -1.0",
    "students.0.training.clip: expected 0 or more, got -1.0",
    "students.0.training.steps: expected 1 or more, or 'auto', got 0",
    "students.0.training.precision: Input should be '32-true'",
    "students.0 (shared).max_macs_share: the cloud's cost is not known; say max_macs, or what an image costs the cloud "
    "model as cloud.macs",
    "students.0 (shared).live: runs the cloud model on images as they are changed, and only its embeddings are known",
    "students.1 (small): model: no width of this edge architecture fits the budget of 10 MACs: the narrowest needs",
    "students.1 (small).objectives: focal_update needs the student that is replaced",
    "students.1 (small).objectives: unknown objective 'cloud_regresion' (did you mean cloud_regression?)",
    "name 'smal/er': expected letters",
    "students.2.head.margin: expected 0 or more, got -1.0",
    "students.2.model.stages.0.channels: expected 1 or more, got 0",
    "tiers.0 (watch): no network of the search space fits macs <= 10: takes",
    "tiers.1 (phone): the cloud's macs is not known; give a number, or cloud.macs",
    "tiers.1 (phone): limits latency, and search.latency names no table",
    "tiers.1 (phone): expected one of partitions.coreml-ep, partitions.nnapi, partitions.litert-gpu, "
    "got 'partitions.gpu'",
    "search.algorithm.mutation: expected a number above 0, got 0.0",
    "export.goldens: expected 1 or more, got 0",
    "export: precision int8: coreml refuses it: int8 activations need iOS 17",
    "verify.targets: no target 'desktp' (did you mean desktop?)",
    "verify.largest_loss: expected at most 1, got 2.0",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)
    for split, count in (("train", 7), ("validation", 3), ("test", 3)):
        for label in "ab":
            (place / "photos" / split / label).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "photos" / split / label / f"{index}.png")
        for label in ("odd", "strange"):
            (place / "strange" / split / label).mkdir(parents=True)
            for index in range(2):
                pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "strange" / split / label / f"{index}.png")
    np.save(place / "vectors.npy", random.normal(size=(3, 8)).astype(np.float32))
    (place / "vectors.txt").write_text("x\ny\nz\n", encoding="utf-8")
    (place / "wrong.toml").write_text(WRONG, encoding="utf-8")
    return place


def started(place: Path, *arguments: object) -> tuple[str, float]:
    """What ``hetero`` says on refusing, and the processor time that it took."""
    environment = {**os.environ, "HETERO_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hetero", *map(str, arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 2, ended.stderr
    return ended.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_recipe_full_of_mistakes_is_told_all_of_them_at_once_and_soon(place: Path) -> None:
    said, seconds = started(place, "run", place / "wrong.toml", "--out", place / "run")
    missing = [part for part in TOLD if part not in said]
    assert not missing, said
    assert seconds < TORCH_AND_CHECKS_S
    assert not (place / "run").exists(), "nothing ran"


def test_what_the_command_line_says_is_told_with_the_rest(place: Path) -> None:
    said, _ = started(place, "run", place / "wrong.toml", "--seed", "-7", "--data", place / "nowhere")
    assert "seed: expected 0 or more, got -7" in said and "std.0" in said
    said, _ = started(place, "compare", "emoji", "--jobs", "0", "--steps", "-1")
    assert "--jobs" in said and "--steps" in said


GOOD: dict[str, Any] = {
    "name": "good",
    "data": {"kind": "folder", "path": "photos"},
    "preprocessing": {"height": 16, "width": 16},
    "cloud": {
        "model": {"family": "residual", "dimension": 8, "stem_channels": 8, "stages": [{"channels": 8}]},
        "training": {"steps": 1},
    },
    "students": [{"name": "edge", "model": {"stem_channels": 8, "stages": [{"channels": 8, "stride": 2}]}}],
}


PHOTOS = {"kind": "folder", "path": "photos"}


def refused(place: Path, edit: Callable[[dict[str, Any]], None], until: str = "cloud") -> str:
    """What stands against a run of the good recipe with a change."""
    import copy

    value = copy.deepcopy(GOOD)
    edit(value)
    with pytest.raises(InputError) as caught:
        run_until(draft(value, what="it", folder=place), place / "out", None, until, True)
    assert not (place / "out").exists(), "nothing ran"
    return str(caught.value)


def embeddings(place: Path, name: str) -> str:
    files = sorted(path.relative_to(place / "photos").as_posix() for path in (place / "photos").rglob("*.png"))
    vectors = np.random.default_rng(1).normal(size=(len(files), 8)).astype(np.float32)
    space = EmbeddingSpace.define(defined_by=name, name=name, version="1", dimension=8)
    save_embeddings(place / name, vectors, files, space)
    return name


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda value: value["data"].update(path="nowhere"), "data: .*nowhere"),
        (lambda value: value["export"].update(formats=[]), r"export\.formats: expected at least 1, got \[\]"),
        (lambda value: value["export"].update(precisions=["int9"]), r"export\.precisions\.0: Input should be 'fp32'"),
        (lambda value: value["verify"].update(targets=[]), r"verify\.targets: expected at least 1"),
        (
            lambda value: value["cloud"].update(onnx="model.onnx"),
            r"cloud\.onnx: expected a file at .*model\.onnx, found none",
        ),
        (
            lambda value: value["cloud"].update(onnx="a", embeddings="b"),
            "expected one of embeddings, onnx, got all of them",
        ),
        (lambda value: value["cloud"].update(macs=5), r"cloud\.macs: is counted, unless"),
        (lambda value: value["cloud"]["model"].update(family="timm:no_such_network"), "cloud: .*(no model|timm)"),
        (lambda value: value["students"][0].update(max_macs_share=1e-9), "no width .* fits the budget of 0 MACs"),
        (
            lambda value: value["preprocessing"].update(shrink=3),
            r"preprocessing\.shrink: expected a divisor of 16 and 16",
        ),
        (
            lambda value: value["students"][0]["model"]["stages"][0].update(kernel=4),
            "kernel: expected an odd number, got 4",
        ),
        (lambda value: value.update(tiers=[{"name": "t", "budget": " "}]), r"tiers\.0 \(t\): expected a budget"),
        (
            lambda value: value["search"].update(space="mine.toml"),
            r"search\.space: expected .*mine\.toml, found no file",
        ),
        (
            lambda value: value["search"].update(algorithm={"cost": "maccs"}),
            r"algorithm\.cost: expected one of macs, .*'maccs'",
        ),
        (
            lambda value: value["search"].update(algorithm={"name": "pareto", "cost": "latency_ms.litert"}),
            r"algorithm\.cost: expected one of macs, parameters, size_mb, got 'latency_ms\.litert'",
        ),
        (
            lambda value: value["students"][0].update(adapt={"data": PHOTOS | {"path": "new"}, "gallery": "g.npy"}),
            r"students\.0 \(edge\)\.adapt\.gallery: expected a file at .*g\.npy, found none\n.*\.adapt\.data: .*new",
        ),
        (
            lambda value: value["students"][0].update(adapt={"data": PHOTOS | {"path": "strange"}}),
            r"adapt\.data: no validation photo is of a class of the run's own images.*\n(.*\n)*.*"
            r"adapt\.data: 4 photos are of no class of the run's own images.*strange/0",
        ),
        (
            lambda value: value["students"][0].update(adapt={"data": PHOTOS, "labels": "l.csv"}),
            r"students\.0\.adapt\.labels: are those of a gallery",
        ),
        (
            lambda value: value["students"][0].update(independent=True, adapt={"data": PHOTOS}),
            r"students\.0\.adapt: is into the cloud's gallery",
        ),
        (
            lambda value: (
                value["students"][0]["model"].update(family="timm:resnet10t", stages=[])
                or value["students"][0].update(adapt={"data": PHOTOS})
            ),
            r"students\.0 \(edge\)\.adapt\.settings: part: timm:resnet10t is not divided into stages here",
        ),
        (
            lambda value: (
                value["students"].append({"name": "edge-adapted"})
                or value["students"][0].update(adapt={"data": PHOTOS})
            ),
            "name 'edge-adapted' is used by 2 models",
        ),
        (
            lambda value: (
                value["students"][0]["model"].update(family="timm:resnet10t", stages=[])
                or value["students"][0].update(anchor_factors="last-stage")
            ),
            r"students\.0 \(edge\)\.anchor_factors: part: timm:resnet10t is not divided into stages here",
        ),
        (
            lambda value: value["search"].update(student={"anchor_factors": "neck"}),
            r"search\.student\.anchor_factors: write them with hetero anchor-factors",
        ),
        (
            lambda value: value["search"].update(student={"adapt": {"data": PHOTOS}}),
            r"search\.student\.adapt: adapt a tier's student with hetero adapt",
        ),
        (
            lambda value: value["search"].update(latency="l.json"),
            r"search\.latency: expected a latency table at .*l\.json",
        ),
    ],
)
def test_one_mistake_is_told_before_anything_runs(
    place: Path, edit: Callable[[dict[str, Any]], None], told: str
) -> None:
    def changed(value: dict[str, Any]) -> None:
        value |= {"export": {}, "verify": {}, "search": {}, "tiers": [{"name": "t", "budget": "macs <= 1G"}]}
        edit(value)

    assert re.search(told, refused(place, changed))


def test_every_student_without_a_budget_that_fits_is_named(place: Path) -> None:
    def edit(value: dict[str, Any]) -> None:
        student = value["students"][0]
        value["students"] = [
            student | {"name": "fits", "max_macs": 1_000_000},
            student | {"name": "tiny", "max_macs": 10},
            student | {"name": "few", "max_parameters": 10},
            student | {"name": "share", "max_macs_share": 1e-6},
        ]

    told = refused(place, edit)
    for name in ("students.1 (tiny)", "students.2 (few)", "students.3 (share)"):
        assert f"{name}: model: no width" in told
    assert "fits)" not in told


def test_a_share_needs_the_cost_of_a_cloud_that_is_a_file_and_cloud_macs_says_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    name = embeddings(place, "cloud.safetensors")

    def edit(value: dict[str, Any], **cloud: Any) -> None:
        value["cloud"] = {"embeddings": name, **cloud}
        training = {"steps": 2, "classes_per_batch": 2, "images_per_class": 2, "validate_every": 2}
        value["students"][0] |= {"max_macs_share": 0.01, "training": training}

    told = refused(place, edit)
    assert "max_macs" in told and "cloud.macs" in told
    assert "fits the budget of 10 MACs" in refused(place, lambda value: edit(value, macs=1000))
    value = {**GOOD, "students": [dict(GOOD["students"][0])]}
    edit(value, macs=20_000_000)
    out = tmp_path / "out"
    assert run_until(draft(value, what="it", folder=place), out, None, "evaluate", True) == 0
    from hetero.files import read_json

    assert 0 < read_json(out / "students" / "edge" / "metrics.json")["macs"] <= 200_000
    assert read_json(out / "cloud" / "metrics.json") == {"macs": 20_000_000, "mirrors": False}


def test_missing_packages_are_told_when_the_run_comes_to_export(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from export.formats.converter import package_problems

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "litert_torch" else real(name))
    assert "litert" not in "".join(package_problems(["onnx"]))
    told = refused(place, lambda value: None, until="export")
    assert "export: format litert: needs litert_torch; install with: pip install 'hetero[export]'" in told


def test_the_recipes_that_come_along_are_sound() -> None:
    from hetero.pipeline.draft import built_in
    from hetero.pipeline.preflight.checks import release_problems

    for name in ("demo", "demo-search"):
        assert release_problems(Draft.of(built_in(name)), exporting=False) == []


def test_a_recipe_in_python_is_checked_the_same(place: Path) -> None:
    (place / "good.toml").write_text(
        'name = "good"\n[data]\nkind = "folder"\npath = "photos"\n[preprocessing]\nheight = 16\nwidth = 16\n'
        '[[students]]\nname = "edge"\nmax_macs = 10\n[cloud]\ntraining = { steps = 1 }\n',
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="no width of this edge architecture"):
        run_until(load_recipe(place / "good.toml"), place / "out", None, "cloud", True)


def test_a_run_with_nothing_to_do_asks_no_more(place: Path, tmp_path: Path) -> None:
    """Files are looked at, models are not: it starts without torch."""
    (place / "done.toml").write_text(
        'name = "done"\n[data]\nkind = "folder"\npath = "photos"\n[preprocessing]\nheight = 16\nwidth = 16\n'
        '[[students]]\nname = "edge"\nmax_macs = 1000000\n',
        encoding="utf-8",
    )
    code = (
        "import sys\nfrom pathlib import Path\nfrom hetero.pipeline.commands.run import run\n"
        f"assert run(Path({str(place / 'done.toml')!r}), out=Path({str(tmp_path / 'run')!r}), until='data') == 0\n"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "HETERO_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    for expected in ("True", "False"):
        ended = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.strip() == expected
