"""Images a second of student training: the product's loop beside a bare hand-written one.

Same model, images, batches, augmentation, objectives and optimiser; runs alternate, so a drifting machine slows both.

    python benchmarks/student_throughput.py --rounds 5 --steps 120
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

from hetero.data.augment import augment
from hetero.data.images import ImageSet
from hetero.models.config import ModelConfig
from hetero.models.cost import cost
from hetero.models.model import EmbeddingModel
from hetero.objectives.contrastive import cloud_contrastive
from hetero.objectives.margin_softmax import margin_logits
from hetero.objectives.registry import Head
from hetero.preprocessing import Preprocessing
from hetero.training.config import ObjectiveConfig, TrainingConfig
from hetero.training.loop import Run, fit
from hetero.training.module import CloudTensors, TrainingModule

CLASSES, SIDE, DIMENSION = 885, 32, 128
TERMS = tuple(ObjectiveConfig(name) for name in ("own_head", "cloud_head", "cloud_contrastive"))


def material(seed: int) -> tuple[ImageSet, CloudTensors]:
    """Random images (speed does not depend on what they show), three a class, with cloud embeddings."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), 3)
    images = ImageSet(
        images=generator.integers(0, 256, (len(labels), SIDE, SIDE, 3), dtype=np.uint8),
        labels=labels,
        classes=tuple(str(label) for label in range(CLASSES)),
        views=np.zeros(len(labels), np.int64),
        view_names=("all",),
        names=tuple(str(row) for row in range(len(labels))),
        fingerprint="benchmark",
    )
    vectors = torch.from_numpy(generator.normal(size=(len(labels), DIMENSION)).astype(np.float32))
    cloud = torch.nn.functional.normalize(vectors, dim=1)
    return images, CloudTensors(cloud, torch.as_tensor(labels), bank=len(labels))


def new_module(cloud: CloudTensors, seed: int) -> TrainingModule:
    torch.manual_seed(seed)
    model = EmbeddingModel("edge", ModelConfig(dimension=DIMENSION, width=1.2), Preprocessing(height=SIDE, width=SIDE))
    prototypes = cloud.embeddings[::3].clone()
    head = Head(CLASSES, DIMENSION, kind="arcface", margin=0.2, scale=16.0, cloud_prototypes=prototypes)
    return TrainingModule.of(model, TERMS, head)


def product(images: ImageSet, cloud: CloudTensors, config: TrainingConfig, seed: int) -> float:
    module = new_module(cloud, seed)
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        run = Run(Path(directory), "benchmark", seed, "product")
        fit(module, images, config, run, validate=lambda _: 0.0, cloud=cloud)
        return time.perf_counter() - started


def bare(images: ImageSet, cloud: CloudTensors, config: TrainingConfig, seed: int) -> float:
    """What one would write by hand for exactly this case: no sampler class, log, checkpoint or resume."""
    module = new_module(cloud, seed).train().to(memory_format=torch.channels_last)
    own, frozen = module.objectives["own_head"].prototypes, module.objectives["cloud_head"].prototypes
    decayed = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=3e-3)
    labels, generator = cloud.labels, torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    for _ in range(config.steps):
        classes = torch.randperm(CLASSES, generator=generator)[: config.classes_per_batch]
        rows = (3 * classes[:, None] + torch.arange(3)).flatten()
        pixels = augment(torch.from_numpy(images.images[rows.numpy()]), config.augment, generator)
        embeddings = module.model.embed(pixels.contiguous(memory_format=torch.channels_last))
        loss = cloud_contrastive(embeddings, labels[rows], cloud.embeddings, labels, temperature=0.1)
        for prototypes in (own, frozen):
            cosines = embeddings @ torch.nn.functional.normalize(prototypes, dim=1).T
            logits = margin_logits(cosines, labels[rows], kind="arcface", margin=0.2, scale=16.0)
            loss = loss + torch.nn.functional.cross_entropy(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*decayed, *others], config.clip)
        optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    config = TrainingConfig(steps=options.steps, threads=options.threads, validate_every=options.steps)
    torch.set_num_threads(options.threads)
    images, cloud = material(options.seed)
    for loop in (product, bare):
        loop(images, cloud, TrainingConfig(steps=10, threads=options.threads), options.seed)
    rounds = [
        (product(images, cloud, config, options.seed), bare(images, cloud, config, options.seed))
        for _ in range(options.rounds)
    ]
    trained = options.steps * config.classes_per_batch * config.images_per_class
    ratios = [by_hand / ours for ours, by_hand in rounds]
    result = {
        "product_images_per_second": round(trained / median(ours for ours, _ in rounds), 1),
        "bare_images_per_second": round(trained / median(by_hand for _, by_hand in rounds), 1),
        "ratio_median": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "macs": cost(new_module(cloud, options.seed).model).macs,
        "threads": options.threads,
        "steps": options.steps,
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
