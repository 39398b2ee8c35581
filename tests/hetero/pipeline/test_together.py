"""A recipe under ``torchrun``: as in one process, ended as one, and continued by another number of processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hetero.pipeline.context import Context
from hetero.pipeline.draft import load_recipe
from hetero.pipeline.engine.stage import run_stages
from hetero.pipeline.stages import stages_of
from tests.hetero.pipeline.bands import write_bands

ROOT = Path(__file__).parents[3]
UNCHANGED = "rotation = 0.0, scale = [1.0, 1.0], shift = 0.0, grey = 0.0, brightness = 0.0, contrast = 0.0"
# In residual blocks no shift is lost on a batch norm behind it. Its gradient would be rounding alone, which AdamW turns
# into steps of full length: see benchmarks/ranks_against_one.py.
RECIPE = """
name = "tiny"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 16
width = 16
[cloud]
model = { family = "residual", dimension = 16, stem_channels = 8, stages = [{ channels = 16, stride = 2 }] }
training = { steps = 12, TRAINING }
[[students]]
name = "edge"
model = { family = "residual", stem_channels = 8, stages = [{ channels = 8, stride = 2 }] }
training = { steps = 12, TRAINING }
""".replace(
    "TRAINING",
    'optimizer = "adamw", classes_per_batch = 4, images_per_class = 2, validate_every = 6, checkpoint_every = 2, '
    f"threads = 1, augment = {{ {UNCHANGED} }}",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("together")
    counts = {"train": 6, "validation": 3, "test": 4}
    write_bands(place / "photos", counts, side=20, step=3, width=6)
    (place / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def alone(folder) -> Path:
    """The run of one process."""
    return continued(folder, folder / "alone")


def continued(folder: Path, out: Path) -> Path:
    """The stages up to the matrix, in this process."""
    stages = stages_of(Context(load_recipe(folder / "recipe.toml"), out))
    run_stages(out, [stage for group, stage in stages if group in ("data", "cloud", "students", "evaluate")])
    return out


def start(folder: Path, out: Path, *launch: str) -> subprocess.Popen[str]:
    """Processes that run the recipe, started as ``torchrun`` is told."""
    command = [sys.executable, "-m", "torch.distributed.run", *launch, "-m", "hetero", "evaluate"]
    more = {"HETERO_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment = os.environ | more | {"PYTHONPATH": str(ROOT)}
    options = [str(folder / "recipe.toml"), "--out", str(out)]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, env=environment)


def losses(out: Path, model: str) -> list[float]:
    lines = [json.loads(line) for line in (out / model / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def metrics(out: Path) -> dict[str, dict[str, dict[str, float]]]:
    return json.loads((out / "matrix.json").read_text())["metrics"]


def require_equal(out: Path, expected: Path) -> None:
    for model in ("cloud", "students/edge"):
        assert losses(out, model) == pytest.approx(losses(expected, model), rel=1e-5)
    for name, rows in metrics(expected).items():
        for query, row in rows.items():
            assert metrics(out)[name][query] == pytest.approx(row, abs=1e-9), (name, query)


def test_two_machines_run_a_recipe_as_one_process_does(folder, alone):
    """Each machine is a ``torchrun`` of its own; the processes are those of one machine otherwise."""
    out = folder / "two"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    nodes = ("--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port)
    machines = [start(folder, out, *nodes, "--node-rank", str(number)) for number in range(2)]
    errors, silence = (machine.communicate(timeout=300)[1] for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0], errors + silence
    # torchrun itself complains when the first machine ends, with the store of both, right before the second.
    assert not re.findall(r"^(?:hetero: |\[\d/\d\] ).*", silence, flags=re.MULTILINE), silence
    require_equal(out, alone)
    assert re.findall(r"\[\d/4\] .*: done", errors) == [
        f"[{number}/4] {name}: done" for number, name in enumerate(("data", "cloud", "student edge", "evaluate"), 1)
    ]
    assert not list(out.rglob("checkpoint.safetensors")) and not (out / ".seen-by-all").exists()


def test_a_killed_process_ends_all_with_one_message_and_one_process_continues(folder, alone):
    out = folder / "killed"
    process = start(folder, out, "--standalone", "--nproc-per-node", "2")
    checkpoint = out / ".partial" / "cloud" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    (second,) = (rank for rank in ranks_of(process.pid) if variable(rank, "RANK") == "1")
    os.kill(second, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors  # torchrun's own
    (line,) = (line for line in errors.splitlines() if line.startswith("hetero: "))
    assert line.endswith("; the same command continues"), errors
    assert not (out / "cloud").exists()
    require_equal(continued(folder, out), alone)


def ranks_of(agent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{agent}/task/{agent}/children").read_text().split()]


def variable(pid: int, name: str) -> str:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry).get(name, "")
