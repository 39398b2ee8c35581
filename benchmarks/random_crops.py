"""Whether random crops from the original pictures teach more than crops of the small images that a model takes.

    python -m benchmarks.random_crops photos --side 48 --steps 800 --seeds 0 1

Any folder of labelled photos. A small model is trained from nothing by their labels: on whole pictures, on random crops
of the prepared images, and on the same crops cut from the originals, all of them mirrored at random and nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path

import hetero
from benchmarks.machine import where_and_when
from hetero.data.augmentation.config import UNCHANGED
from hetero.metrics import evaluate_tasks

MIRRORED = dataclasses.replace(UNCHANGED, flip=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--smallest", type=float, default=0.3, help="share of a picture that a crop shows")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    preprocessing = hetero.Preprocessing(options.side, options.side)
    config = hetero.DataConfig(kind="folder", path=str(options.photos))
    area = (options.smallest, 1.0)
    ways = {
        "crops from the original": dataclasses.replace(MIRRORED, crop_area=area, crop_from="original"),
        "crops of the prepared image": dataclasses.replace(MIRRORED, crop_area=area, crop_from="prepared"),
        "whole pictures": MIRRORED,
    }
    for seed in options.seeds:
        for way, augment in ways.items():
            figures = trained(config, preprocessing, augment, options.steps, options.threads, seed)
            print(json.dumps({"way": way, "seed": seed, **figures}), flush=True)
    about = {name: getattr(options, name) for name in ("side", "steps", "smallest", "seeds", "threads")}
    print(json.dumps({**about, **where_and_when()}))


def trained(
    config: hetero.DataConfig,
    preprocessing: hetero.Preprocessing,
    augment: hetero.AugmentConfig,
    steps: int,
    threads: int,
    seed: int,
) -> dict[str, float]:
    """Train a model, and return its figures on the test images."""
    data = hetero.prepare(config, preprocessing)
    training = hetero.TrainingConfig(
        steps=steps, batch=96, validate_every=max(1, steps // 5), threads=threads, augment=augment
    )
    student = hetero.StudentConfig(
        "model",
        independent=True,
        objectives=(hetero.ObjectiveConfig("own_head"), hetero.ObjectiveConfig("supervised_contrastive")),
        training=training,
    )
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        model = hetero.train_student(data, None, student, preprocessing, Path(folder), seed=seed)
    processor = time.process_time() - started
    vectors = hetero.embed_images(model, data.test.images)
    result = evaluate_tasks(vectors, vectors, data.test.labels, data.test_tasks)
    figures = {name: round(float(result.mean(name)), 4) for name in ("map@r", "cmc@1")}
    return {**figures, "processor_seconds": round(processor, 1)}


if __name__ == "__main__":
    main()
