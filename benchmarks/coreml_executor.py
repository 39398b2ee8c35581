"""Time of the Core ML reference executor as a multiple of eager torch's: same networks, images and one thread.

The packages are those that ``hetero export`` writes.

The two take turns within each round, so that a drifting machine slows both; medians over the rounds are compared. It is
processor time unless ``--wall`` is given: with one thread the same on an idle machine, and on a shared one what others
do does not count.

    python benchmarks/coreml_executor.py --rounds 15 --images 32
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from device_tests.runtimes.coreml import load  # noqa: E402
from export.capture.program import capture  # noqa: E402
from export.conversion.graphs import with_neck_folded  # noqa: E402
from export.formats.converter import ConversionJob  # noqa: E402
from export.formats.coreml import convert as coreml  # noqa: E402
from export.kinds.precision import Precision  # noqa: E402
from hetero import (  # noqa: E402
    EmbeddingModel,
    ModelConfig,
    Preprocessing,
    Stage,
)

Clock = Callable[[], float]
LITE = 127 / 255, 128 / 255
FAMILIES = {
    "edge": (ModelConfig(family="edge"), 64),
    "edge, large kernels": (
        ModelConfig(
            family="edge",
            stages=(Stage(16, 1, 2, kernel=5, expansion=2.0), Stage(32, 2, 2, kernel=7, expansion=4.0)),
        ),
        64,
    ),
    "residual": (ModelConfig(family="residual"), 64),
    "efficientnet_lite0": (ModelConfig(family="efficientnet_lite0"), 96),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--networks", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--wall", action="store_true", help="measure wall instead of processor time")
    given = parser.parse_args()
    torch.set_num_threads(1)
    clock = time.perf_counter if given.wall else time.process_time
    with threadpool_limits(limits=1), tempfile.TemporaryDirectory() as folder:
        for name in given.networks:
            figures = measure(name, *FAMILIES[name], given.rounds, given.images, Path(folder), clock)
            print(json.dumps({"network": name, **figures}), flush=True)


def measure(
    name: str, config: ModelConfig, side: int, rounds: int, images: int, folder: Path, clock: Clock
) -> dict[str, float]:
    colours: Any = {} if config.family != "efficientnet_lite0" else {"mean": (LITE[0],) * 3, "std": (LITE[1],) * 3}
    model = EmbeddingModel(name, config, Preprocessing(height=side, width=side, **colours)).eval()
    many = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), dtype=np.uint8)
    figures: dict[str, float] = {}
    precisions: tuple[Precision, ...] = ("fp32", "fp16")
    for precision in precisions:
        path = folder / f"{name}.{precision}.mlpackage"
        convert(model, side, precision, path)
        ours = load(path, "float16")
        for count in (images, 1):
            ratio, theirs = compare(model, ours, many[:count], rounds, clock)
            figures[f"{precision}, {count} images: times torch"] = round(ratio, 2)
            figures[f"torch, {count} images: ms"] = round(1000 * theirs, 2)
    return figures


def compare(model: EmbeddingModel, ours: Any, images: np.ndarray, rounds: int, clock: Clock) -> tuple[float, float]:
    """The median ratio of the two times, and torch's median in seconds."""
    tensor = torch.from_numpy(images)

    def theirs() -> None:
        with torch.no_grad():
            model(tensor)

    turns = [
        (seconds(lambda: ours.predict({"image": images}), clock), seconds(theirs, clock)) for _ in range(rounds + 3)
    ]
    pairs = turns[3:]
    return median(own for own, _ in pairs) / median(other for _, other in pairs), median(other for _, other in pairs)


def seconds(run: Callable[[], object], clock: Clock) -> float:
    start = clock()
    run()
    return clock() - start


def convert(model: EmbeddingModel, side: int, precision: Precision, path: Path) -> None:
    example = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    job = ConversionJob({"hetero.model": "benchmark", "hetero.version": "0"}, side, side, {}, None)
    coreml.write(coreml.prepare(capture(with_neck_folded(model), example), job), precision, path)


if __name__ == "__main__":
    main()
