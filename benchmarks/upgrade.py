"""Backward-compatible upgrades on emoji: criterion, gain, tax, a control, and a chain of three generations.

    python -m benchmarks.upgrade --seeds 0 1 2 --out runs/upgrade

For each seed: v1, a small net on half of the training classes; v2, a larger net on all of them, compatible with v1;
a control like v2 without the constraint; for the seeds of ``--chain``, v3, larger again, compatible with v2 (and never
shown v1). Figures are of the 415 test emoji; weights are chosen on 60 validation emoji. Forward transforms are networks
fitted on the training emoji's vectors. Models that are there already are not trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

import hetero
from benchmarks.machine import where_and_when
from benchmarks.records import signed, spread
from hetero import Stage
from hetero.data.subset import with_classes
from hetero.files import read_json, write_json
from hetero.metrics import Backfill, average_compatibility, backfill_curves, evaluate_tasks
from hetero.upgrade.measure import Upgrade

PREPROCESSING = hetero.Preprocessing(height=32, width=32)
COMPATIBLE = (
    hetero.ObjectiveConfig("cloud_head"),
    hetero.ObjectiveConfig("cloud_contrastive", 0.5),
    hetero.ObjectiveConfig("cloud_regression", 15.0),
)
COPIES = 4
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
UNCHANGED = hetero.AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)


def net(name: str, version: str, channels: tuple[int, ...], steps: int, depth: int = 1) -> hetero.CloudConfig:
    stages = tuple(Stage(channels=each, stride=2, depth=depth if i == 1 else 1) for i, each in enumerate(channels))
    training = hetero.TrainingConfig(
        steps=steps,
        optimizer="adamw",
        classes_per_batch=24,
        validate_every=max(1, steps // 5),
        checkpoint_every=100,
        threads=1,
    )
    model = hetero.ModelConfig(family="residual", pool="gem", stem_channels=channels[0] // 2, stem_stride=1)
    return hetero.CloudConfig(
        name=name, version=version, model=dataclasses.replace(model, stages=stages), training=training
    )


def configs(scale: float) -> dict[str, hetero.CloudConfig]:
    """The three generations; ``scale`` multiplies the steps. The later ones learn from fixed changed copies."""
    nets = {
        "v1": net("cloud", "1", (16, 32, 64), round(300 * scale)),
        "v2": net("cloud", "2", (24, 48, 96), round(900 * scale), depth=2),
        "v3": net("cloud", "3", (32, 64, 128), round(1200 * scale), depth=2),
    }
    for name in ("v2", "v3"):
        training = dataclasses.replace(nets[name].training, augment=UNCHANGED)
        nets[name] = dataclasses.replace(nets[name], copies=COPIES, training=training)
    return nets


def run(root: Path, seed: int, scale: float, *, chain: bool, control: bool) -> dict[str, Any]:
    """Train one seed's models and measure them."""
    images = hetero.prepare(hetero.DataConfig(kind="emoji", validation_classes=60), PREPROCESSING)
    nets = configs(scale)
    half = with_classes(images, images.train.classes[::2])
    if not (root / "v1" / "config.json").is_file():
        hetero.train_cloud(half, nets["v1"], PREPROCESSING, root / "v1", seed=seed)
    upgrade = upgraded(images, root / "v1", nets["v2"], root / "v2", seed, control=control)
    result = {
        "seed": seed,
        "upgrade": dataclasses.asdict(upgrade) | {"status": upgrade.status},
        "forward": forward(images, root),
        "mixed": mixed(images, root, seed),
        "macs": {name: read_json(root / name / "metrics.json")["macs"] for name in ("v1", "v2")},
    }
    if chain:
        upgraded(images, root / "v2", nets["v3"], root / "v3", seed, control=False)
        result |= generations(images, root, tuple(nets))
    return result


def generations(images: hetero.Dataset, root: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """M over all pairs of generations, and AC."""
    labels, tasks = np.asarray(images.test.labels), images.test_tasks
    vectors = {name: hetero.embed_images(hetero.load_model(root / name), images.test.images) for name in names}
    figures = [[evaluate_tasks(vectors[q], vectors[g], labels, tasks).mean("cmc@1") for g in names] for q in names]
    return {"chain": figures, "ac": average_compatibility(np.array(figures))}


def mixed(images: hetero.Dataset, root: Path, seed: int) -> dict[str, float]:
    """cmc@1 of v2's queries while v1's gallery is being re-embedded in random order, by share."""
    vectors = [hetero.embed_images(hetero.load_model(root / name), images.test.images) for name in ("v1", "v2")]
    labels, curves = np.asarray(images.test.labels), []
    for task in images.test_tasks:
        old, new = (one[task.gallery] for one in vectors)
        backfill = Backfill(
            query=vectors[1][task.query],
            new=new,
            old=old,
            query_labels=labels[task.query],
            gallery_labels=labels[task.gallery],
            exclude=np.full(len(task.query), -1, np.int64),
        )
        order = np.random.default_rng(seed).permutation(len(old))
        curves.append(backfill_curves(backfill, {"random": order}, SHARES)["random"].means("cmc@1"))
    return {str(share): float(value) for share, value in zip(SHARES, np.mean(curves, axis=0), strict=True)}


def forward(images: hetero.Dataset, root: Path) -> dict[str, float]:
    """M(new, h(old)): new queries against the old gallery after a forward transform, for v2 and for the control."""
    labels, figures = np.asarray(images.test.labels), {}
    old = hetero.load_model(root / "v1")
    before = [hetero.embed_images(old, one.images) for one in (images.train, images.test)]
    for name in ("v2", "v2/control"):
        if not (root / name / "config.json").is_file():
            continue
        new = hetero.load_model(root / name)
        after = [hetero.embed_images(new, one.images) for one in (images.train, images.test)]
        assert old.space is not None and new.space is not None
        transform = hetero.ForwardTransform.fit((old.space, before[0]), (new.space, after[0]))
        moved = transform(before[1], old.space)
        figures[name] = hetero.metrics.evaluate_tasks(after[1], moved, labels, images.test_tasks).mean("cmc@1")
    return figures


def upgraded(
    images: hetero.Dataset, old: Path, config: hetero.CloudConfig, directory: Path, seed: int, *, control: bool
) -> Upgrade:
    if (directory / "upgrade.json").is_file():
        found = Upgrade.load(directory / "upgrade.json")
        if found.figures[0].alone is not None or not control:
            return found
    upgrade = hetero.UpgradeConfig(objectives=COMPATIBLE, control=control)
    return hetero.train_upgrade(images, old, config, upgrade, PREPROCESSING, directory, seed=seed)


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: the upgrade v1 to v2 by seed, then the chain."""
    lines = [
        "| seed | M(o,o) | M(n,o) | M(n,o) - M(o,o), 95 % | M(n,n) | M(n\\*,n\\*) | M(n\\*,o) | gain | tax, 95 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = [one["upgrade"]["figures"][0] for one in runs]
    for one, row in zip(runs, rows, strict=True):
        alone, reach = ("" if row[key] is None else f"{row[key]:.4f}" for key in ("alone", "alone_cross"))
        gain, tax = ("" if row[key] is None else signed(row[key]) for key in ("gain", "tax"))
        lines.append(
            f"| {one['seed']} | {row['old']:.3f} | {row['cross']:.3f} | {signed(row['criterion'])} "
            f"{one['upgrade']['status']} | {row['own']:.3f} | {alone} | {reach} | {gain} | {tax} |"
        )
    means = [spread([row[key] for row in rows]) for key in ("old", "cross", "own")]
    lines.append(f"| all | {means[0]} | {means[1]} | | {means[2]} | | | | |")
    lines += ["", "| seed | " + " | ".join(f"{share:.0%} new" for share in SHARES) + " |", "|---" * 6 + "|"]
    for one in runs:
        lines.append(f"| {one['seed']} | " + " | ".join(f"{value:.3f}" for value in one["mixed"].values()) + " |")
    lines += ["", "| seed | M(n,h(o)) | M(n\\*,h(o)) |", "|---|---|---|"]
    for one in runs:
        moved = [f"{one['forward'][name]:.3f}" if name in one["forward"] else "" for name in ("v2", "v2/control")]
        lines.append(f"| {one['seed']} | {moved[0]} | {moved[1]} |")
    lines += ["", "| seed | query | v1 gallery | v2 gallery | v3 gallery | AC |", "|---|---|---|---|---|---|"]
    for one in (each for each in runs if "chain" in each):
        for index, row in enumerate(one["chain"]):
            shown = " | ".join(f"{value:.3f}" for value in row)
            last = f"{one['ac']:.2f}" if index == len(one["chain"]) - 1 else ""
            lines.append(f"| {one['seed']} | v{index + 1} | {shown} | {last} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--chain", type=int, nargs="*", default=[0], help="seeds that get a third generation")
    parser.add_argument("--control", type=int, nargs="*", default=[0, 1, 2], help="seeds that get a control")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the training steps")
    parser.add_argument("--out", type=Path, default=Path("runs/upgrade"))
    options = parser.parse_args()
    runs = [
        run(options.out / str(seed), seed, options.scale, chain=seed in options.chain, control=seed in options.control)
        for seed in options.seeds
    ]
    here = where_and_when()
    write_json(options.out / "upgrade.json", {"runs": runs, "options": {"scale": options.scale}, **here})
    print(json.dumps(here), table(runs), sep="\n\n")


if __name__ == "__main__":
    main()
