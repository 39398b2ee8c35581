"""Positive-congruent training in classification: how many of an old model's right answers does a new one lose?

    python benchmarks/positive_congruent.py emoji --seeds 0 1 2 --out runs/congruent/emoji
    python benchmarks/positive_congruent.py PATH_TO_PHOTOS --seeds 0 1 2 --out runs/congruent/photos

``emoji``: 300 classes, each trained on in two of three designs and classified in the third; one third of the classes'
held-out drawings is for tuning (``--tune``), the others for figures. Photos: folders train, validation and test. The
old net is smaller than the new one; all updates of a seed start from the same weights and see the same batches of the
same fixed changed copies of the training images, which the old model has embedded once. ELODI never looks at the old
model: there the old model, too, follows teachers of its own architecture. Models that are there already are not
trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import where_and_when
from records import signed

import hetero
from hetero import ImageSet, Stage
from hetero.data.subset import with_classes, with_rows
from hetero.files import write_json
from hetero.metrics import count_flips, difference_interval

TEACHERS = (100, 101, 102, 103)
COMPARED = ("nfr - none", "error - none", "nfr - FD-LM (1,5)", "nfr - one teacher")
COPIES = 6
UNCHANGED = hetero.AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)


@dataclass(frozen=True)
class Update:
    """One way to update: the objective, and who it looks at: the old model, or ``teachers`` of a model's own kind."""

    objective: hetero.ObjectiveConfig | None = None
    teachers: tuple[int, ...] = ()


def updates(weight: dict[str, float]) -> dict[str, Update]:
    """Every way compared; ``weight`` is lambda by kind of distance."""

    def matching(alpha: float, beta: float) -> hetero.ObjectiveConfig:
        return hetero.ObjectiveConfig("focal_logit_matching", weight["lm"], alpha=alpha, beta=beta)

    return {
        "none": Update(),
        "FD-LM (1,5)": Update(matching(1.0, 5.0)),
        "FD-LM (1,0)": Update(matching(1.0, 0.0)),
        "FD-LM (0,1)": Update(matching(0.0, 1.0)),
        "FD-KL (1,5)": Update(hetero.ObjectiveConfig("focal_kl", weight["kl"], alpha=1.0, beta=5.0)),
        "ELODI, 4 teachers": Update(hetero.ObjectiveConfig("elodi", weight["elodi"]), TEACHERS),
        "one teacher": Update(hetero.ObjectiveConfig("elodi", weight["elodi"]), TEACHERS[:1]),
    }


@dataclass(frozen=True)
class Task:
    """A data set to classify: training images with changed copies, and held-out images to tune and to report on."""

    images: hetero.Dataset
    tuning: ImageSet
    report: ImageSet
    preprocessing: hetero.Preprocessing
    per_batch: tuple[int, int]
    stem_stride: int


def emoji() -> Task:
    """Every class in two designs to train on, and in the third to classify: which is the third goes round."""
    shape = hetero.Preprocessing(height=32, width=32)
    whole = hetero.prepare(hetero.DataConfig(kind="emoji", validation_classes=60), shape)
    some = with_classes(whole, whole.train.classes[::3][:300])
    views, labels = np.asarray(some.train.views), np.asarray(some.train.labels)
    held_out = views == labels % 3
    tuned_on = labels // 3 % 3 == 0
    train = with_rows(some.train, np.flatnonzero(~held_out))
    tuning = with_rows(some.train, np.flatnonzero(held_out & tuned_on))
    report = with_rows(some.train, np.flatnonzero(held_out & ~tuned_on))
    return Task(_with_copies(some, train), tuning, report, shape, (36, 2), 1)


def photos(path: Path) -> Task:
    """Folders train, validation and test at 48 pixels."""
    shape = hetero.Preprocessing(height=48, width=48)
    images = hetero.prepare(hetero.DataConfig(kind="folder", path=str(path.resolve())), shape)
    return Task(_with_copies(images, images.train), images.validation, images.test, shape, (10, 6), 2)


def _with_copies(images: hetero.Dataset, train: ImageSet) -> hetero.Dataset:
    copies = hetero.with_copies(train, COPIES, hetero.AugmentConfig(), seed=0)
    return images.training_on(copies)


def net(task: Task, name: str, channels: tuple[int, ...], steps: int) -> hetero.CloudConfig:
    """A classifier: a plain normalised softmax, the last weights taken as they are."""
    stages = tuple(Stage(channels=each, stride=2) for each in channels)
    classes, images = task.per_batch
    return hetero.CloudConfig(
        name=name,
        model=hetero.ModelConfig(
            family="residual", pool="gem", stem_channels=channels[0], stem_stride=task.stem_stride, stages=stages
        ),
        head=hetero.HeadConfig(kind="none", scale=16.0),
        objectives=(hetero.ObjectiveConfig("own_head"),),
        training=hetero.TrainingConfig(
            steps=steps,
            optimizer="adamw",
            classes_per_batch=classes,
            images_per_class=images,
            validate_every=steps,
            candidates_from=1.0,
            checkpoint_every=steps,
            threads=1,
            augment=UNCHANGED,
        ),
    )


@dataclass(frozen=True)
class Trainer:
    """Trains what is not there yet, below one directory."""

    task: Task
    root: Path
    scale: float
    weight: dict[str, float]
    references: dict[tuple[Path, ...], hetero.CloudReference] = field(default_factory=dict)

    def old(self, seed: int, update: Update = Update()) -> Path:
        """The old model of this seed, trained alone or after teachers."""
        return self._model("old", seed, net(self.task, "old", (8, 16, 32), round(200 * self.scale)), update)

    def updated(self, name: str, seed: int) -> Path:
        """The new model of this seed."""
        update = updates(self.weight)[name]
        config = net(self.task, "new", (16, 32, 64), round(200 * self.scale))
        if update.teachers:
            return self._model("new", seed, config, update)
        weight = "" if update.objective is None else f" {update.objective.weight:g}"
        return self._train(f"{name}{weight}", seed, config, ((self.old(seed),), update.objective))

    def _model(self, name: str, seed: int, config: hetero.CloudConfig, update: Update) -> Path:
        if not update.teachers or update.objective is None:
            return self._train(name, seed, config, None)
        teachers = tuple(self._train(f"{name} teacher", one, config, None) for one in update.teachers)
        called = f"{name} after {len(teachers)} {update.objective.weight:g}"
        return self._train(called, seed, config, (teachers, update.objective))

    def _train(
        self,
        name: str,
        seed: int,
        config: hetero.CloudConfig,
        beside: tuple[tuple[Path, ...], hetero.ObjectiveConfig | None] | None,
    ) -> Path:
        directory = self.root / str(seed) / name.replace(" ", "_").replace(",", "-")
        if not (directory / "config.json").is_file():
            # "none" is given the old model too, and no term that looks at it: its start is that of the others.
            given = beside and hetero.Beside(self._reference(beside[0]), (beside[1],) if beside[1] else ())
            hetero.train_cloud(self.task.images, config, self.task.preprocessing, directory, beside=given, seed=seed)
        return directory

    def _reference(self, models: tuple[Path, ...]) -> hetero.CloudReference:
        if models not in self.references:
            members = [hetero.CloudReference.from_model(one, self.task.images) for one in models]
            self.references[models] = hetero.ensemble(members)
        return self.references[models]


def right(directory: Path, images: ImageSet) -> np.ndarray:
    """Bool [n]: whether the model classifies each image right."""
    return hetero.Classifier.load(directory).predict(images.images) == np.asarray(images.labels)


def measure(trainer: Trainer, images: ImageSet, names: list[str], seeds: list[int]) -> dict[str, Any]:
    """Figures of each update, pooled over seeds; intervals resample images with their answers of all seeds."""
    ways = updates(trainer.weight)
    after = {way.teachers: way for way in ways.values() if way.teachers}
    olds = {
        teachers: np.concatenate([right(trainer.old(seed, after.get(teachers, Update())), images) for seed in seeds])
        for teachers in {ways[name].teachers for name in names}
    }
    answers = {name: np.concatenate([right(trainer.updated(name, seed), images) for seed in seeds]) for name in names}
    lost = {name: (olds[ways[name].teachers] & ~new).astype(np.float64) for name, new in answers.items()}
    clusters = np.tile(np.arange(len(images)), len(seeds))
    rows: dict[str, Any] = {}
    for name, new in answers.items():
        old = olds[ways[name].teachers]
        flips = count_flips(old, new)
        assert flips.negative - flips.positive == flips.new_wrong - flips.old_wrong
        rows[name] = {**dataclasses.asdict(flips), "nfr": flips.nfr, "pfr": flips.pfr, "error": flips.error_new}
        rows[name] |= {"rel_nfr": flips.rel_nfr, "error_old": float((~old).mean())}
        rows[name]["per_seed_nfr"] = [float(one.mean()) for one in np.split(lost[name], len(seeds))]
        for base in ("none", "FD-LM (1,5)", "one teacher"):
            if base in answers and base != name:
                change = difference_interval(lost[name], lost[base], clusters=clusters)
                rows[name][f"nfr - {base}"] = dataclasses.asdict(change)
        wrong = [(~one).astype(np.float64) for one in (new, answers["none"])]
        rows[name]["error - none"] = dataclasses.asdict(difference_interval(*wrong, clusters=clusters))
    return {"images": len(images), "seeds": seeds, "updates": rows}


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['images']} images, seeds {result['seeds']}",
        "",
        f"| update | error, old | error | NFR | PFR | Rel.NFR | {' | '.join(f'{key}, 95 %' for key in COMPARED)} |",
        "|---" * (6 + len(COMPARED)) + "|",
    ]
    for name, row in result["updates"].items():
        shown = [signed(row[key]) if key in row else "" for key in COMPARED]
        lines.append(
            f"| {name} | {row['error_old']:.3f} | {row['error']:.3f} | {row['nfr']:.4f} | {row['pfr']:.4f} "
            f"| {row['rel_nfr']:.3f} | {' | '.join(shown)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="emoji, or a folder of photos")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the training steps")
    parser.add_argument("--lm", type=float, default=0.01, help="lambda of FD-LM")
    parser.add_argument("--kl", type=float, default=0.1, help="lambda of FD-KL")
    parser.add_argument("--elodi", type=float, default=0.1, help="lambda of ELODI and of the single teacher")
    parser.add_argument("--only", nargs="+", help="these updates, beside none")
    parser.add_argument("--tune", action="store_true", help="figures of the images for tuning")
    parser.add_argument("--out", type=Path, default=Path("runs/congruent"))
    options = parser.parse_args()
    task = emoji() if options.data == "emoji" else photos(Path(options.data))
    weight = {"lm": options.lm, "kl": options.kl, "elodi": options.elodi}
    trainer = Trainer(task, options.out, options.scale, weight)
    names = [
        "none",
        *[name for name in updates(weight) if name != "none" and name in (options.only or updates(weight))],
    ]
    result = measure(trainer, task.tuning if options.tune else task.report, names, options.seeds)
    here = where_and_when()
    write_json(options.out / ("tuning.json" if options.tune else "figures.json"), {**result, "lambda": weight, **here})
    print(json.dumps(here), json.dumps(weight), table(result), sep="\n\n")


if __name__ == "__main__":
    main()
