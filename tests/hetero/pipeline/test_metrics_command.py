"""``hetero evaluate --metrics``: figures worked out again from the vectors that the run keeps."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hetero.cli.main import main
from hetero.data.embeddings.file import aligned, load_embeddings
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.evaluation.asked import Asked, asked_for
from hetero.evaluation.asked_figures import AskedFigure, AskedFigures, measure_asked
from hetero.metrics.task import RetrievalTask
from hetero.pipeline.context import Context
from hetero.pipeline.draft import draft_called

TRAINING = "steps = 2, classes_per_batch = 3, images_per_class = 2, threads = 1, validate_every = 2"
MODEL = "stem_channels = 8, stages = [{ channels = 8, stride = 2 }]"
RECIPE = f"""
name = "tiny"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 16
width = 16
[cloud]
copies = 0
model = {{ family = "residual", dimension = 8, {MODEL} }}
training = {{ {TRAINING} }}
[[students]]
name = "edge"
model = {{ {MODEL} }}
training = {{ {TRAINING} }}
[[students]]
name = "alone"
independent = true
objectives = [{{ name = "own_head" }}]
model = {{ dimension = 4, {MODEL} }}
training = {{ {TRAINING} }}
"""
METRICS = ("--metrics", "tar@far=0.1,recall@2", "--metrics", "fnir@fpir=0.2", "tnir@fpir=0.2", "--metrics", "nfr")


slow = pytest.mark.slow  # they train, each model in a process of its own


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *arguments])
    code = stopped.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    drawn = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in "abcd":
            folder = place / "photos" / split / label
            folder.mkdir(parents=True)
            ground = drawn.integers(0, 256, 3)
            for number in range(4):
                pixels = np.clip(ground + drawn.integers(-90, 90, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (place / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    assert command(str(place / "tiny.toml"), "--out", str(place / "out"), *METRICS) == 0
    return place


@pytest.fixture(scope="module")
def asked_of(run: Path) -> tuple[ImageSet, tuple[RetrievalTask, ...]]:
    dataset = Context(draft_called(run / "tiny.toml").recipe, run / "out").dataset
    return dataset.test, dataset.test_tasks


def figure(run: Path, model: str, metric: str) -> AskedFigure:
    found = AskedFigures.load(run / "out" / "evaluation" / "metrics.json")
    (one,) = (each for each in found.figures if (each.query_model, each.metric) == (model, metric))
    return one


def vectors(run: Path, images: ImageSet, model: str) -> NDArray[np.float32]:
    out = run / "out"
    path = out / "evaluation" / "vectors" / f"{model}.safetensors"
    return aligned(load_embeddings(out / "cloud" / "embeddings.safetensors" if model == "cloud" else path), images)


@slow
def test_figures_are_those_of_the_vectors_kept(run: Path, asked_of: tuple[ImageSet, tuple[RetrievalTask, ...]]):
    images, tasks = asked_of
    (task,) = tasks
    labels, count = np.asarray(images.labels), len(images)
    assert task.exclude_self and len(task.query) == len(task.gallery) == count == 16
    cloud = vectors(run, images, "cloud")
    right: dict[str, NDArray[np.bool_]] = {}
    for model in ("cloud", "edge"):
        scores = vectors(run, images, model) @ cloud.T
        same, others = labels[:, None] == labels, ~np.eye(count, dtype=bool)
        genuine, impostor = scores[same & others], scores[~same]
        told = figure(run, model, "tar@far=0.1")
        assert told.counts == {"genuine": 48, "impostor": 192} and told.interval is not None
        # 19 of 192 is the most that is at most a tenth; thresholds are multiples of 2**-20.
        assert told.threshold is not None
        assert (impostor >= told.threshold).sum() <= 19 < (impostor >= told.threshold - 2**-20).sum()
        assert told.interval.value == pytest.approx((genuine >= told.threshold).mean())
        assert told.interval.low <= told.interval.value <= told.interval.high

        ranked = np.argsort(-np.where(others, scores, -np.inf), axis=1, kind="stable")
        found = labels[ranked] == labels[:, None]
        recall = figure(run, model, "recall@2").interval
        assert recall is not None and recall.value == pytest.approx((found[:, :2].sum(axis=1) / 3).mean())
        right[model] = found[:, 0]

    flips = figure(run, "edge", "nfr")
    assert flips.beside == "cloud" and flips.counts == {"queries": 16} and flips.interval is not None
    assert flips.interval.value == pytest.approx((right["cloud"] & ~right["edge"]).mean())


@slow
def test_half_of_the_classes_is_not_enrolled(run: Path, asked_of: tuple[ImageSet, tuple[RetrievalTask, ...]]):
    images, _ = asked_of
    labels = np.asarray(images.labels)
    scores = vectors(run, images, "edge") @ vectors(run, images, "cloud").T
    np.fill_diagonal(scores, -np.inf)
    drawn = np.random.default_rng(0).permutation(np.unique(labels))  # the recipe's seed
    mated, non_mated = list[float](), list[float]()
    for half in (drawn[:2], drawn[2:]):
        there = np.flatnonzero(np.isin(labels, half))
        for row, label in enumerate(labels.tolist()):
            best = there[np.argmax(scores[row, there])]
            if label not in half:
                non_mated.append(float(scores[row, best]))
            else:
                mated.append(float(scores[row, best]) if labels[best] == label else -np.inf)
    assert (len(mated), len(non_mated)) == (16, 16)
    rejected = np.sort(non_mated)[::-1][3]  # 3 of 16 is the most that is at most a fifth
    told = figure(run, "edge", "fnir@fpir=0.2")
    missed = np.mean(np.array(mated) <= rejected)
    assert told.counts == {"mated": 16, "non-mated": 16} and told.interval is not None
    assert told.interval.value == pytest.approx(missed)
    found = figure(run, "edge", "tnir@fpir=0.2").interval
    assert found is not None and found.value == pytest.approx(1 - missed)
    assert (found.low, found.high) == pytest.approx((1 - told.interval.high, 1 - told.interval.low))


@slow
def test_it_says_what_cannot_be_computed_and_why(run: Path) -> None:
    assert figure(run, "cloud", "nfr").note == "cannot be computed: nothing was there before this model"
    alone = figure(run, "alone", "tar@far=0.1")
    assert alone.interval is None and alone.note == "vectors of 4 and 8 dimensions cannot be compared"


@slow
def test_again_embeds_nothing_and_prints_the_table(run: Path) -> None:
    out = run / "out"
    kept = list(out.rglob("*.safetensors"))
    before = [path.stat().st_mtime_ns for path in kept]
    started = time.monotonic()
    asked = [str(run / "tiny.toml"), "--out", str(out), "--metrics", "tar@far=1e-3", "pfr"]
    answer = subprocess.run([sys.executable, "-m", "hetero", "evaluate", *asked], capture_output=True, check=True)
    assert time.monotonic() - started < 30
    assert [path.stat().st_mtime_ns for path in kept] == before
    table = answer.stdout.decode().splitlines()
    assert [line.split(" | ")[:2] for line in table[2:6]] == [
        ["| cloud", "tar@far=0.001"],
        ["| cloud", "pfr"],
        ["| edge", "tar@far=0.001"],
        ["| edge", "pfr"],
    ]
    assert "a rate below 1/192 cannot be told from zero" in table[2]


@slow
def test_the_line_of_the_guide_runs(run: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^hetero (evaluate .*)$", text, flags=re.MULTILINE)
    shutil.copy(run / "tiny.toml", run / "recipe.toml")
    shutil.copytree(run / "out", run / "runs" / "mine")
    answer = subprocess.run(
        [sys.executable, "-m", "hetero", *shlex.split(line)], cwd=run, capture_output=True, check=True, text=True
    )
    assert answer.stderr.count("up to date") == 5
    assert "| edge | recall@10 |" in answer.stdout and "| edge | fnir@fpir=0.01 |" in answer.stdout


@slow
def test_vectors_that_are_not_kept_are_embedded_again(run: Path) -> None:
    path = run / "out" / "evaluation" / "vectors" / "edge.safetensors"
    held = path.read_bytes()
    path.unlink()
    assert command(str(run / "tiny.toml"), "--out", str(run / "out"), "--metrics", "nfr") == 0
    assert path.read_bytes() == held


def test_wrong_names_and_rates_are_told_at_once_and_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ("tar@far", "fnir@fpir=1.5", "tnir@fpir=x", "nfr=0.1", "reciprocal", "")
    assert command(str(tmp_path / "none.toml"), "--out", str(tmp_path / "out"), "--metrics", *wrong) == 2
    told = capsys.readouterr().err
    for line in (
        "tar@far: expected a rate from 0 to 1, as in tar@far=0.001",
        "fnir@fpir=1.5: expected a rate from 0 to 1, as in fnir@fpir=0.001",
        "tnir@fpir=x: expected a rate from 0 to 1",
        "nfr=0.1: nfr takes no rate",
        "reciprocal: expected tar@far=RATE, tnir@fpir=RATE, fnir@fpir=RATE, nfr, pfr, rel-nfr, cmc@1, cmc@10, map@r, "
        "cmc@k, recall@k",
        "an empty name: expected tar@far",
    ):
        assert line in told
    assert "none.toml" not in told and not (tmp_path / "out").exists()


def test_names_are_read_once_each() -> None:
    assert asked_for(["tar@far=1e-3, nfr", "tar@far=0.001"]) == (Asked("tar@far", 0.001), Asked("nfr"))
    with pytest.raises(InputError, match="expected a rate from 0 to 1"):
        asked_for(["tar@far=nan"])


def test_one_class_has_no_impostors_and_no_strangers() -> None:
    images = np.eye(4, dtype=np.float32)
    rows = np.arange(4)
    found = measure_asked(
        asked_for(["tar@far=0.1", "fnir@fpir=0.1", "rel-nfr", "cmc@1"]),
        {"cloud": images, "edge": images},
        np.zeros(4, np.int64),
        [RetrievalTask("all", rows, rows, exclude_self=True)],
        gallery_model="cloud",
        before={"edge": "cloud"},
    )
    notes = [one.note for one in found.figures if one.query_model == "edge"]
    assert notes[0] == "cannot be computed: expected genuine and impostor pairs, at least one of each, got 12 and 0"
    assert notes[1] == "cannot be computed: no query would be without a mate: the images are all of one class"
    assert notes[2].startswith("cannot be computed: the figure is not defined for these queries")
    assert notes[3] == ""
