"""Negative flips of a student update in retrieval, with and without a term for the student that is replaced.

    python -m benchmarks.upgrade --seeds 0 1 2 --out runs/upgrade
    python benchmarks/retrieval_flips.py --upgrades runs/upgrade --seeds 0 1 2 --out runs/flips

Before: student s1 of cloud v1. After: s2 of the compatible cloud v2, trained plainly, with ``focal_update``, from s1's
weights (warm), or both. Queries are of the student; the gallery is v1's (nothing is re-embedded) or v2's (everything
is). All students of a seed have one architecture and budget; s1's initial weights and batches are others. Figures are
of the test emoji.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import where_and_when
from records import signed

import hetero
from hetero import ImageSet, Stage
from hetero.data.subset import with_classes
from hetero.files import write_json
from hetero.metrics import TaskResult, count_flips, difference_interval, nfr_reduction_interval, rank_one_decisions

PREPROCESSING = hetero.Preprocessing(height=32, width=32)
COPIES = 4
UNCHANGED = hetero.AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)
OBJECTIVES = (
    hetero.ObjectiveConfig("own_head", 0.3),
    hetero.ObjectiveConfig("cloud_head", 0.3),
    hetero.ObjectiveConfig("cloud_contrastive", 0.3),
    hetero.ObjectiveConfig("cloud_regression", 20.0),
)
EDGE = hetero.ModelConfig(
    family="edge",
    stem_channels=8,
    stem_stride=1,
    stages=(
        Stage(channels=8, stride=2, expansion=2.0),
        Stage(channels=16, depth=1),
        Stage(channels=32, depth=2, stride=2, kernel=5, squeeze_excite=True),
        Stage(channels=64, stride=2, squeeze_excite=True),
    ),
)


def student(name: str, scale: float, *extra: hetero.ObjectiveConfig) -> hetero.StudentConfig:
    """One architecture and budget for all."""
    steps = round(250 * scale)
    training = hetero.TrainingConfig(
        steps=steps,
        classes_per_batch=24,
        optimizer="adamw",
        learning_rate=6e-3,
        validate_every=max(1, steps // 5),
        checkpoint_every=100,
        threads=1,
        augment=UNCHANGED,
    )
    return hetero.StudentConfig(name=name, model=EDGE, objectives=OBJECTIVES + extra, training=training)


def with_copies(images: hetero.Dataset) -> hetero.Dataset:
    """Fixed changed copies of the training images, which the clouds embed once."""
    copies = hetero.with_copies(images.train, COPIES, hetero.AugmentConfig(), seed=0)
    return images.training_on(copies)


@dataclass(frozen=True)
class Update:
    """One way to train the student after: the weight of ``focal_update``, and whether it starts from s1's weights."""

    weight: float = 0.0
    warm: bool = False

    @property
    def directory(self) -> str:
        """Below the seed's."""
        return ("warm-" if self.warm else "") + (f"focal-{self.weight:g}" if self.weight else "plain")


def train(clouds: Path, root: Path, seed: int, scale: float, weights: list[float]) -> dict[str, Path]:
    """One seed's students: before, after, and after with each weight of ``focal_update``."""
    whole = hetero.prepare(hetero.DataConfig(kind="emoji", validation_classes=60), PREPROCESSING)
    half = with_copies(with_classes(whole, whole.train.classes[::2]))
    images = with_copies(whole)
    before = root / "before"
    if not (before / "config.json").is_file():
        cloud = hetero.CloudReference.from_model(clouds / "v1", half)
        hetero.train_student(half, cloud, student("before", scale), PREPROCESSING, before, seed=1000 + seed)
    updates = {"plain": Update(), "warm": Update(warm=True)}
    updates |= {f"focal_update {weight:g}": Update(weight) for weight in weights}
    updates |= {f"warm, focal_update {weight:g}": Update(weight, warm=True) for weight in weights}
    paths = {name: root / update.directory for name, update in updates.items()}
    missing = [name for name, path in paths.items() if not (path / "config.json").is_file()]
    if not missing:
        return {"before": before, **paths}
    cloud = hetero.CloudReference.from_model(clouds / "v2", images)
    previous = _previous(before, clouds / "v1", images.train)
    for name in missing:
        update = updates[name]
        start = hetero.load_model(before) if update.warm else None
        extra = (hetero.ObjectiveConfig("focal_update", update.weight),) if update.weight else ()
        hetero.train_student(
            images,
            cloud,
            student("after", scale, *extra),
            PREPROCESSING,
            paths[name],
            previous=dataclasses.replace(previous, start=start),
            seed=seed,
        )
    return {"before": before, **paths}


def _previous(before: Path, cloud: Path, images: ImageSet) -> hetero.PreviousStudent:
    vectors = [hetero.embed_images(hetero.load_model(path), images.images) for path in (before, cloud)]
    return hetero.PreviousStudent.of(vectors[0], vectors[1], images)


def measure(clouds: Path, paths: dict[str, Path], *, tune: bool) -> dict[str, dict[str, TaskResult]]:
    """Gallery -> student -> result."""
    whole = hetero.prepare(hetero.DataConfig(kind="emoji", validation_classes=60), PREPROCESSING)
    images, tasks = (whole.validation, whole.validation_tasks) if tune else (whole.test, whole.test_tasks)
    labels = np.asarray(images.labels)
    queries = {name: hetero.embed_images(hetero.load_model(path), images.images) for name, path in paths.items()}
    galleries = {name: hetero.embed_images(hetero.load_model(clouds / name), images.images) for name in ("v1", "v2")}
    return {
        gallery: {name: hetero.metrics.evaluate_tasks(query, vectors, labels, tasks) for name, query in queries.items()}
        for gallery, vectors in galleries.items()
    }


def pooled(seeds: list[dict[str, dict[str, TaskResult]]]) -> dict[str, Any]:
    """Figures over all seeds; intervals resample classes with their queries of all seeds and tasks."""
    names = [name for name in seeds[0]["v1"] if name != "before"]
    rows: dict[str, Any] = {}
    clusters = np.concatenate([np.concatenate(one["v1"]["before"].labels) for one in seeds])
    for gallery in ("v1", "v2"):
        right = {name: np.concatenate([rank_one_decisions(one[gallery][name])[0] for one in seeds]) for name in names}
        old = np.concatenate([rank_one_decisions(one["v1"]["before"])[0] for one in seeds])
        precision = {
            name: np.concatenate([np.concatenate(one[gallery][name].per_query("map@r")) for one in seeds])
            for name in names
        }
        for name in names:
            flips = count_flips(old, right[name])
            row = {**dataclasses.asdict(flips), "nfr": flips.nfr, "pfr": flips.pfr, "rel_nfr": flips.rel_nfr}
            row |= {"cmc@1": 1 - flips.error_new, "map@r": float(precision[name].mean())}
            change = difference_interval(precision[name], precision["plain"], clusters=clusters)
            row["map@r - plain"] = dataclasses.asdict(change)
            if name != "plain":
                avoided = nfr_reduction_interval(old, right[name], right["plain"], clusters=clusters)
                row["reduction"] = dataclasses.asdict(avoided)
            rows[f"{gallery} {name}"] = row
    before = [one["v1"]["before"] for one in seeds]
    return {
        "before": {metric: float(np.mean([one.mean(metric) for one in before])) for metric in ("cmc@1", "map@r")},
        "queries": len(clusters),
        "updates": rows,
    }


def table(result: dict[str, Any]) -> str:
    lines = [
        f"before: cmc@1 {result['before']['cmc@1']:.3f}, map@r {result['before']['map@r']:.3f}; "
        f"{result['queries']} queries",
        "",
        "| gallery, student | cmc@1 | map@r | NFR | PFR | Rel.NFR | flips avoided, 95 % | map@r - plain, 95 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["updates"].items():
        avoided = signed(row["reduction"]) if "reduction" in row else ""
        lines.append(
            f"| {name} | {row['cmc@1']:.3f} | {row['map@r']:.3f} | {row['nfr']:.4f} | {row['pfr']:.4f} "
            f"| {row['rel_nfr']:.3f} | {avoided} | {signed(row['map@r - plain'])} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrades", type=Path, default=Path("runs/upgrade"), help="what benchmarks/upgrade.py made")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the training steps")
    parser.add_argument("--weights", type=float, nargs="+", default=[5.0], help="of focal_update")
    parser.add_argument("--tune", action="store_true", help="figures of the validation emoji")
    parser.add_argument("--out", type=Path, default=Path("runs/flips"))
    options = parser.parse_args()
    seeds: list[dict[str, dict[str, TaskResult]]] = []
    for seed in options.seeds:
        clouds = options.upgrades / str(seed)
        paths = train(clouds, options.out / str(seed), seed, options.scale, options.weights)
        seeds.append(measure(clouds, paths, tune=options.tune))
    result, here = pooled(seeds), where_and_when()
    name = "tuning.json" if options.tune else "figures.json"
    write_json(options.out / name, {**result, "seeds": options.seeds, **here})
    print(json.dumps(here), table(result), sep="\n\n")


if __name__ == "__main__":
    main()
