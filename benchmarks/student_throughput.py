"""Images a second of student training: the product's loop beside a bare hand-written one.

Same model, images, batches, augmentation, objectives and optimiser; the two alternate every few steps, so that a
drifting machine slows both.

    python benchmarks/student_throughput.py --rounds 5 --steps 300
    python benchmarks/student_throughput.py --rounds 5 --steps 60 --threads 1 --side 96 --plain
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import torch

from hetero import (
    AugmentConfig,
    EmbeddingModel,
    ImageSet,
    Judgement,
    ModelConfig,
    ObjectiveConfig,
    Preprocessing,
    TrainingConfig,
)
from hetero.data.augmentation.augment import augment
from hetero.models.cost import cost
from hetero.objectives.contrastive import cloud_contrastive
from hetero.objectives.head import Head
from hetero.objectives.margin_softmax import margin_logits
from hetero.training.loop.loop import fit
from hetero.training.loop.module import CloudTensors, TrainingModule
from hetero.training.loop.run import Run
from hetero.training.optimisation.rates import DECAYS, PEAK_RATES

CLASSES, DIMENSION = 885, 128
PLAIN = AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)
TERMS = tuple(ObjectiveConfig(name) for name in ("own_head", "cloud_head", "cloud_contrastive"))


def material(side: int, seed: int) -> tuple[ImageSet, CloudTensors]:
    """Random images (speed does not depend on what they show), three a class, with cloud embeddings."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), 3)
    images = ImageSet(
        images=generator.integers(0, 256, (len(labels), side, side, 3), dtype=np.uint8),
        labels=labels,
        classes=tuple(str(label) for label in range(CLASSES)),
        views=np.zeros(len(labels), np.int64),
        view_names=("all",),
        names=tuple(str(row) for row in range(len(labels))),
        fingerprint="benchmark",
    )
    vectors = torch.from_numpy(generator.normal(size=(len(labels), DIMENSION)).astype(np.float32))
    cloud = torch.nn.functional.normalize(vectors, dim=1)
    return images, CloudTensors(cloud, torch.as_tensor(labels), bank=torch.arange(len(labels)))


def new_module(cloud: CloudTensors, side: int, seed: int) -> TrainingModule:
    torch.manual_seed(seed)
    model = EmbeddingModel("edge", ModelConfig(dimension=DIMENSION, width=1.2), Preprocessing(height=side, width=side))
    prototypes = cloud.embeddings[::3].clone()
    head = Head(CLASSES, DIMENSION, kind="arcface", margin=0.2, scale=16.0, cloud_prototypes=prototypes)
    return TrainingModule.of(model, TERMS, head)


class Bare:
    """What one would write by hand for exactly this case: no sampler class, log, checkpoint or resume."""

    def __init__(self, images: ImageSet, cloud: CloudTensors, config: TrainingConfig, seed: int) -> None:
        self.images, self.cloud, self.config = images, cloud, config
        self.module = new_module(cloud, images.images.shape[1], seed).train().to(memory_format=torch.channels_last)
        decayed = [p for p in self.module.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.module.parameters() if p.requires_grad and p.ndim <= 1]
        self.learnt = [*decayed, *others]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": DECAYS["adamw"]}, {"params": others, "weight_decay": 0.0}],
            lr=PEAK_RATES["adamw"],
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.changes = config.augment or AugmentConfig()
        self.seconds = 0.0

    def train(self, steps: int) -> None:
        """Take steps, and add up their time."""
        cloud, labels = self.cloud, self.cloud.labels
        heads = [self.module.objectives[name].prototypes for name in ("own_head", "cloud_head")]
        started = time.perf_counter()
        for _ in range(steps):
            classes = torch.randperm(CLASSES, generator=self.generator)[: self.config.classes_per_batch]
            rows = (3 * classes[:, None] + torch.arange(3)).flatten()
            pixels = augment(
                torch.from_numpy(self.images.images[rows.numpy()]),
                self.config.augment or AugmentConfig(),
                self.generator,
            )
            embeddings = self.module.model.embed(pixels.contiguous(memory_format=torch.channels_last))
            loss = cloud_contrastive(embeddings, labels[rows], cloud.embeddings, labels, temperature=0.1)
            for prototypes in heads:
                cosines = embeddings @ torch.nn.functional.normalize(prototypes, dim=1).T
                logits = margin_logits(cosines, labels[rows], kind="arcface", margin=0.2, scale=16.0)
                loss = loss + torch.nn.functional.cross_entropy(logits, labels[rows])
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.learnt, self.config.clip)
            self.optimizer.step()
        self.seconds += time.perf_counter() - started


def one_round(images: ImageSet, cloud: CloudTensors, config: TrainingConfig, seed: int) -> tuple[float, float]:
    """Seconds of the product's whole run (checkpoints and log too) and of as many bare steps.

    The bare loop takes its turn whenever the product would validate: blocks of a few steps alternate in one process.
    """
    bare = Bare(images, cloud, config, seed)

    def turn(_: object) -> Judgement:
        bare.train(config.validate_every)
        return Judgement("none", {"none": 0.0})

    with tempfile.TemporaryDirectory() as directory:
        module = new_module(cloud, images.images.shape[1], seed)
        started = time.perf_counter()
        fit(module, images, config, Run(Path(directory), "benchmark", seed, "product"), validate=turn, cloud=cloud)
        return time.perf_counter() - started - bare.seconds, bare.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--block", type=int, default=10, help="steps between turns")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--plain", action="store_true", help="change no image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    changes = PLAIN if options.plain else AugmentConfig()
    config = TrainingConfig(steps=options.steps, threads=options.threads, validate_every=options.block, augment=changes)
    torch.set_num_threads(options.threads)
    images, cloud = material(options.side, options.seed)
    one_round(images, cloud, TrainingConfig(steps=10, threads=options.threads, validate_every=10), options.seed)
    rounds = [one_round(images, cloud, config, options.seed) for _ in range(options.rounds)]
    trained = options.steps * config.classes_per_batch * config.images_per_class
    ratios = [by_hand / ours for ours, by_hand in rounds]
    result = {
        "product_images_per_second": round(trained / median(ours for ours, _ in rounds), 1),
        "bare_images_per_second": round(trained / median(by_hand for _, by_hand in rounds), 1),
        "ratio_median": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "macs": cost(new_module(cloud, options.side, options.seed).model).macs,
        "threads": options.threads,
        "side": options.side,
        "plain": options.plain,
        "steps": options.steps,
        "block": options.block,
        "seed": options.seed,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {platform.system()}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
