"""The same steps under ``torchrun`` as in one process, on CPU processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = ("-m", "tests.hetero.training.ranks_program")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")

pytestmark = pytest.mark.slow


def launch(out: Path, *command: str) -> list[dict]:
    """What each rank saw."""
    out.mkdir()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return [json.loads(path.read_text()) for path in sorted(out.glob("rank*.json"))]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "out"
    scenarios = (
        "contrast_alone",
        "normalised",
        "judged",
        "ended",
        "broken",
        "resumed",
        "models",
        "fed",
        "supernet",
        "differing",
    )
    return launch(out, *TORCHRUN, "2", *PROGRAM, str(out), *scenarios)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "out"
    return launch(out, *PROGRAM, str(out), "contrast_alone", "models", "fed", "supernet")[0]


def test_a_loss_within_the_batch_sees_the_batches_of_all_ranks(two, alone):
    assert min(alone["contrast_alone"]) > 0.1
    for rank in two:
        assert rank["contrast_alone"] == pytest.approx(alone["contrast_alone"], rel=1e-5)


@pytest.mark.parametrize("name", ["v1", "student", "tuned", "inside", "v2", "v2/control"])
def test_every_training_takes_the_steps_of_one_process(two, alone, name):
    for rank in two:
        assert rank["models"][name] == pytest.approx(alone["models"][name], rel=1e-4)


@pytest.mark.parametrize("name", ["refreshed", "rarely", "mixed", "mixed-live", "mixed-refreshed"])
def test_every_batch_is_that_of_one_process(two, alone, name):
    for rank in two:
        assert rank["fed"][name] == pytest.approx(alone["fed"][name], rel=1e-4)


@pytest.mark.parametrize("sampling", ["uniform", "sandwich"])
def test_every_rank_trains_the_same_paths_of_a_supernet(two, alone, sampling):
    for rank in two:
        assert rank["supernet"][sampling] == pytest.approx(alone["supernet"][sampling], rel=1e-9)


def test_ranks_that_would_train_different_things_are_told_before_they_start(two):
    for rank in two:
        assert rank["differing"] == (
            "x: every process needs the same images, settings and version of hetero: process 0 differs from 1"
        )


def test_batch_norm_is_that_of_the_whole_batch(two):
    for rank in two:
        assert max(rank["normalised"]) < 1e-12


def test_rank_0_alone_validates_and_all_agree_on_its_figure(two):
    assert [rank["judged"] for rank in two] == [[0.25, 2], [0.25, 0]]


def test_all_ranks_end_where_the_curve_of_rank_0_ends_them(two):
    first, second = (rank["ended"] for rank in two)
    assert first[:2] == second[:2]
    assert (first[0], first[2], second[2]) == (11, 11, 0)  # flat after 8 looks, and 3 steps more


def test_a_loss_that_is_not_finite_on_a_single_rank_stops_all(two):
    for rank in two:
        assert "lower learning_rate" in rank["broken"]


def test_an_error_on_rank_0_reaches_all_and_all_continue_from_its_checkpoint(two):
    assert two[0]["resumed"] == two[1]["resumed"]
    whole, continued, steps = two[0]["resumed"]
    assert whole == continued and steps == 4
