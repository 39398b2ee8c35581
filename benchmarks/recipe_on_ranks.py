"""Does a recipe under ``torchrun`` give what one process gives, and what does a killed process leave?

    OMP_NUM_THREADS=1 python -m benchmarks.recipe_on_ranks

Photos of 12 classes at 32 px, a cloud model and two students without augmentation, to the matrix: by one process, by 2
and by 4 (gloo), each step's loss and each cell held against those of one process; and, as a yardstick of rounding, one
process with two threads. Then 4 processes of which one is killed while the cloud model trains, continued by 2.

The student ``plain`` is of residual blocks. In those of ``edge`` a batch norm follows another: the shift of the first
is without effect in training, its gradient is rounding alone, and AdamW makes steps of full length of that. It shows in
evaluation until running means have followed; ``benchmarks/ranks_against_one.py`` tells how the two agree in float64.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import where_and_when

CLASSES, SIDE = 12, 32
PHOTOS = {"train": 6, "validation": 3, "test": 4}
PROCESSES = (1, 2, 4)
MODELS = ("cloud", "students/plain", "students/edge")
RECIPE = """
name = "ranks"
seed = {seed}
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 32
width = 32
[cloud]
model = {{ family = "residual", dimension = 32, stem_channels = 8, stages = [{{ channels = 16, stride = 2 }}] }}
training = {{ {training} }}
[[students]]
name = "plain"
model = {{ family = "residual", stem_channels = 8, stages = [{{ channels = 8, stride = 2 }}] }}
training = {{ {training} }}
[[students]]
name = "edge"
model = {{ stem_channels = 8, stages = [{{ channels = 8, stride = 2 }}] }}
training = {{ {training} }}
"""
# Every step is logged where every step is saved.
TRAINING = (
    'steps = {steps}, optimizer = "adamw", classes_per_batch = 8, images_per_class = 2, validate_every = {steps}, '
    "checkpoint_every = 1, threads = {threads}, augment = {{ rotation = 0.0, scale = [1.0, 1.0], shift = 0.0, "
    "grey = 0.0, brightness = 0.0, contrast = 0.0 }}"
)


def lay_out(folder: Path, steps: int, seed: int) -> None:
    """Write photos, coloured noise, and the recipe."""
    generator = np.random.default_rng(seed)
    colours = generator.integers(60, 196, (CLASSES, 3))
    for split, count in PHOTOS.items():
        for label, colour in enumerate(colours):
            place = folder / "photos" / split / f"{label:02}"
            place.mkdir(parents=True)
            for index in range(count):
                pixels = colour + generator.integers(-60, 60, (SIDE, SIDE, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{index}.png")
    for threads in (1, 2):
        recipe = RECIPE.format(seed=seed, training=TRAINING.format(steps=steps, threads=threads))
        (folder / f"threads-{threads}.toml").write_text(recipe, encoding="utf-8")


def start(folder: Path, out: str, processes: int, *, threads: int = 1) -> subprocess.Popen[str]:
    """Start the recipe's run in some processes of some threads."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [
        sys.executable,
        *(launch if processes > 1 else []),
        "-m",
        "hetero",
        "evaluate",
        f"threads-{threads}.toml",
    ]
    root = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    more = {"HETERO_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": root}
    environment = os.environ | more | {"OMP_NUM_THREADS": str(threads)}
    options = ["--out", out, "--jobs", "1", "--quiet"]
    return subprocess.Popen([*command, *options], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a run that should succeed."""
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors[-4000:])


def losses(out: Path, model: str) -> list[float]:
    """Return the losses of all steps."""
    lines = [json.loads(line) for line in (out / model / "log.jsonl").read_text("utf-8").splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def cells(out: Path, *queries: str) -> Iterator[float]:
    """Yield every metric of these query models in the cloud's gallery."""
    metrics: dict[str, dict[str, dict[str, float]]] = json.loads((out / "matrix.json").read_text("utf-8"))["metrics"]
    for rows in metrics.values():
        yield from (rows[query]["cloud"] for query in queries)


def differences(out: Path, alone: Path) -> dict[str, Any]:
    """Return the largest differences from the run of one process."""
    worst: dict[str, dict[str, float]] = {}
    for model in MODELS:
        expected = np.array(losses(alone, model))
        apart = np.abs(np.array(losses(out, model)) - expected)
        worst[model] = {
            "first": expected[0],
            "last": expected[-1],
            "difference": float(apart.max()),
            "relative": float((apart / np.abs(expected)).max()),
        }
    matrix = {
        query: max(abs(a - b) for a, b in zip(cells(out, query), cells(alone, query), strict=True))
        for query in ("cloud", "plain", "edge")
    }
    return {"losses": worst, "difference of a cell": matrix}


def killed(folder: Path, out: str) -> dict[str, Any]:
    """Kill one of 4 processes while the cloud model trains."""
    process = start(folder, out, 4)
    while not (folder / out / ".partial" / "cloud" / "checkpoint.safetensors").exists():
        if process.poll() is not None:
            raise RuntimeError("the run ended before it could be killed")
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(children[2]), signal.SIGKILL)
    _, errors = process.communicate()
    messages = [line for line in errors.splitlines() if line.startswith("hetero: ")]
    return {"messages": messages, "seconds until all had ended": round(time.monotonic() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lay_out(folder, options.steps, options.seed)
        for processes in PROCESSES:
            began = time.monotonic()
            finish(start(folder, str(processes), processes))
            row: dict[str, Any] = {"processes": processes, "wall seconds": round(time.monotonic() - began)}
            if processes > 1:
                row |= differences(folder / str(processes), folder / "1")
            print(json.dumps(row), flush=True)
        finish(start(folder, "threads", 1, threads=2))
        print(json.dumps({"processes": "1 of 2 threads"} | differences(folder / "threads", folder / "1")), flush=True)
        row = {"killed": "1 of 4"} | killed(folder, "killed")
        finish(start(folder, "killed", 2))
        row |= {"continued by": 2} | differences(folder / "killed", folder / "1")
        print(json.dumps(row), flush=True)
    print(json.dumps({"steps": options.steps, "seed": options.seed} | where_and_when()))


if __name__ == "__main__":
    main()
