"""Images a second of a student's training: this product's loop beside torch's ``DataLoader`` as a user writes it.

    python -m benchmarks.shards.training --side 224 --rounds 3
    python -m benchmarks.shards.training --side 64 --rounds 3 --crops

JPEG of 500 x 375, the default student and objectives, the cloud's vectors computed before. Both loops take the same
step (model, objectives, optimiser, clipping) and change images equally strongly: lightly, as students are trained by
default, or by random crops and mirroring (``--crops``). The user's data set decodes and changes each image with Pillow,
in two worker processes. Every measurement is a process of its own, and all take turns; ``step`` is the step alone on
batches in memory, ``feed`` and ``loader`` are what feeds it, alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from benchmarks.machine import where_and_when
from benchmarks.shards.by_hand import AREA, BATCH, batches_of, loader_of
from benchmarks.shards.loaders import write
from hetero import (
    AugmentConfig,
    DataConfig,
    EmbeddingModel,
    ImageSet,
    Judgement,
    Preprocessing,
    StudentConfig,
    TrainingConfig,
    prepare,
)
from hetero.data.augmentation.config import LIGHT, UNCHANGED
from hetero.models.cost import cost
from hetero.objectives.head import Head
from hetero.training.batches.feed import Feed
from hetero.training.loop.loop import fit
from hetero.training.loop.memory import keep_freed_memory
from hetero.training.loop.module import CloudTensors, TrainingModule
from hetero.training.loop.run import Run
from hetero.training.optimisation.optimizer import build_optimizer

DIMENSION = 128
STUDENT = StudentConfig("edge")
CROPS = dataclasses.replace(UNCHANGED, flip=0.5, crop_area=AREA)
WHAT = ("hetero cached", "hetero streamed", "torch", "step", "feed cached", "feed streamed", "loader")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained, on which images."""

    place: Path
    side: int
    steps: int
    crops: bool
    threads: int
    seed: int

    @property
    def preprocessing(self) -> Preprocessing:
        """The student's."""
        return Preprocessing(self.side, self.side, resize="squash")

    def changes(self, *, streamed: bool) -> AugmentConfig:
        """Crops are cut from the kept pixels, or from the originals, which are decoded at every read."""
        if not self.crops:
            return dataclasses.replace(LIGHT, flip=0.5)
        return dataclasses.replace(CROPS, crop_from="original" if streamed else "prepared")

    def training(self, *, streamed: bool) -> TrainingConfig:
        """Return the training of a run."""
        return TrainingConfig(
            steps=self.steps,
            batch=BATCH,
            validate_every=self.steps,
            checkpoint_every=self.steps,
            threads=self.threads,
            augment=self.changes(streamed=streamed),
        )

    def images(self, *, streamed: bool) -> ImageSet:
        """Return the training images, decoded at every read or kept."""
        limit = 0.0 if streamed else 4.0
        config = DataConfig(kind="webdataset", path=str(self.place / "shards"), decoded_limit_gb=limit)
        return prepare(config, self.preprocessing, cache=self.place / "cache").train


def vectors(count: int, seed: int) -> torch.Tensor:
    random_vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return torch.nn.functional.normalize(torch.from_numpy(random_vectors), dim=1)


def cloud_of(count: int, seed: int) -> CloudTensors:
    return CloudTensors(vectors(count, seed), torch.arange(count) % 10, torch.arange(min(count, 4096)))


def module_of(setting: Setting) -> TrainingModule:
    torch.manual_seed(setting.seed)
    model = EmbeddingModel("edge", STUDENT.model, setting.preprocessing)
    prototypes = vectors(10, setting.seed)
    head = Head(10, DIMENSION, kind="arcface", margin=0.2, scale=16.0, cloud_prototypes=prototypes)
    return TrainingModule.of(model, STUDENT.objectives, head)


def of_hetero(setting: Setting, *, streamed: bool) -> Callable[[int], None]:
    images = setting.images(streamed=streamed)
    cloud, config = cloud_of(len(images), setting.seed), setting.training(streamed=streamed)

    def train(steps: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder), "benchmark", setting.seed, "hetero", resume=False)
            own = dataclasses.replace(config, steps=steps, validate_every=steps, checkpoint_every=steps)
            fit(module_of(setting), images, own, run, validate=lambda _: Judgement("none", {"none": 0.0}), cloud=cloud)

    return train


def of_torch(setting: Setting) -> Callable[[int], None]:
    loader = loader_of(setting.place, setting.side, crops=setting.crops)
    count = len(loader.dataset)  # pyright: ignore[reportArgumentType]
    step = step_of(setting, count)

    def train(steps: int) -> None:
        for pixels, rows in batches_of(loader, steps):
            step(pixels, rows)

    return train


def step_of(setting: Setting, count: int) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """The step of a student's training, in a loop as one writes it by hand."""
    module, cloud = module_of(setting).train(), cloud_of(count, setting.seed)
    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = build_optimizer(module, setting.training(streamed=False))

    def step(pixels: torch.Tensor, rows: torch.Tensor) -> None:
        loss, _ = module(pixels.contiguous(memory_format=torch.channels_last), rows % 10, rows, cloud)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()

    return step


def step_alone(setting: Setting) -> Callable[[int], None]:
    keep_freed_memory()
    step, generator = step_of(setting, 1000), torch.Generator().manual_seed(setting.seed)
    pixels = [torch.rand((BATCH, 3, setting.side, setting.side), generator=generator) for _ in range(2)]

    def train(steps: int) -> None:
        for number in range(steps):
            step(pixels[number % 2], torch.arange(BATCH) + number)

    return train


def feed_alone(setting: Setting, *, streamed: bool) -> Callable[[int], None]:
    images, config = setting.images(streamed=streamed), setting.training(streamed=streamed)
    cloud = cloud_of(len(images), setting.seed)
    feed = Feed(Fabric(accelerator="cpu", devices=1), images, config, cloud, by_class=False, seed=setting.seed)

    def read(steps: int) -> None:
        for _ in feed.batches(0, steps):
            pass

    return read


def loader_alone(setting: Setting) -> Callable[[int], None]:
    loader = loader_of(setting.place, setting.side, crops=setting.crops)

    def read(steps: int) -> None:
        for _ in batches_of(loader, steps):
            pass

    return read


def measured(setting: Setting, what: str) -> dict[str, float]:
    """Images a second, after some steps that warm up and start worker processes."""
    torch.set_num_threads(setting.threads)
    way, _, kind = what.partition(" ")
    action = {
        "hetero": lambda: of_hetero(setting, streamed=kind == "streamed"),
        "torch": lambda: of_torch(setting),
        "step": lambda: step_alone(setting),
        "feed": lambda: feed_alone(setting, streamed=kind == "streamed"),
        "loader": lambda: loader_alone(setting),
    }[way]()
    action(2)
    before, wall = _processor(), time.perf_counter()
    action(setting.steps)
    wall, processor = time.perf_counter() - wall, _processor() - before
    images = setting.steps * BATCH
    return {"images a second": images / wall, "images a CPU second": images / processor}


def apart(setting: Setting, what: str) -> dict[str, float]:
    """Measure in a process of its own, since a training asks the C library to keep its memory."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    # Not a daemon: it starts worker processes itself.
    process = context.Process(target=lambda: theirs.send(measured(setting, what)))
    process.start()
    theirs.close()
    result: dict[str, float] = ours.recv()
    process.join()
    return result


def _processor() -> float:
    """Processor seconds of this process and of the worker processes that it has now."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    ticks = 0
    for process in children:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--side", type=int, default=224, help="of the student's input, in pixels")
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crops", action="store_true", help="random crops in place of light changes")
    parser.add_argument("--threads", type=int, default=1, help="of the step")
    parser.add_argument("--quality", type=int, default=90)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    os.environ["HETERO_PROGRESS"] = "quiet"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        size = write(place, options.images, options.quality, options.seed)
        setting = Setting(place, options.side, options.steps, options.crops, options.threads, options.seed)
        kept = setting.images(streamed=False).images
        for start in range(0, len(kept), BATCH):
            _ = kept[np.arange(start, min(start + BATCH, len(kept)))]
        rates: dict[str, list[dict[str, float]]] = {what: [] for what in WHAT}
        for _ in range(options.rounds):
            for what in WHAT:
                rates[what].append(apart(setting, what))
    figures: dict[str, Any] = {
        what: {key: round(median(rate[key] for rate in of_what), 1) for key in of_what[0]}
        for what, of_what in rates.items()
    }
    for kind in ("cached", "streamed"):
        figures[f"{kind}, times torch's"] = {
            key: round(
                median(
                    ours[key] / users[key] for ours, users in zip(rates[f"hetero {kind}"], rates["torch"], strict=True)
                ),
                2,
            )
            for key in rates["torch"][0]
        }
    macs = cost(EmbeddingModel("edge", STUDENT.model, setting.preprocessing)).macs
    about = {name: getattr(options, name) for name in ("side", "images", "steps", "rounds", "crops", "threads", "seed")}
    print(
        json.dumps({**figures, "macs": macs, "kilobytes": round(size / 1e3, 1), **about, **where_and_when()}, indent=2)
    )


if __name__ == "__main__":
    main()
