"""Students of a raw, frozen, unlabelled cloud: the default beside what a user would write by hand.

The cloud is an EfficientNet-Lite with ImageNet weights, its pooled features as they are. Training and validation
images have no labels; those of the test images are looked at for the figures alone. Classes that ``--more`` has and
``--photos`` has not are searched for as well, and never trained on.

    python -m benchmarks.frozen_cloud run --photos PHOTOS --more MORE --out runs/frozen --seeds 0 1 2
    python -m benchmarks.frozen_cloud table --out runs/frozen
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hetero
from benchmarks.frozen_cloud_by_hand import train_by_hand
from benchmarks.frozen_cloud_methods import ABLATIONS, FLIP, LOOPS, METHODS, copies_of, student_of
from benchmarks.frozen_cloud_table import PART, table
from benchmarks.machine import where_and_when
from hetero import (
    AugmentConfig,
    Dataset,
    ImageSet,
    aligned,
    embed_all,
    save_embeddings,
    train_student,  # here, so that its import is in nobody's time
)
from hetero.data.subset import with_rows
from hetero.files import cache_directory, write_json
from hetero.metrics import evaluate
from hetero.models.cost import cost
from hetero.training.judging.agreement import agreement

NEW = "new "


@dataclass(frozen=True)
class Part:
    """One training: a cloud, a student's share of its cost, a method, images seen and a seed."""

    cloud: str
    share: float
    method: str
    images: int
    seed: int

    @property
    def name(self) -> str:
        """Of its directory."""
        return f"{self.cloud}-{round(1 / self.share)}-{self.method}-{self.images / 1000:g}k-{self.seed}"

    @property
    def embedded_as(self) -> tuple[str, int]:
        """What tells its file of vectors from others: the cloud, and images where copies depend on these."""
        return self.cloud, self.images if copies_of(self.method, images=self.images, photos=1) else 0

    @property
    def words(self) -> list[str]:
        """Of its command line."""
        return [
            *("--clouds", self.cloud, "--shares", str(round(1 / self.share)), "--methods", self.method),
            *("--images", str(self.images), "--seeds", str(self.seed)),
        ]


def parts(arguments: argparse.Namespace) -> Iterator[Part]:
    """All that is asked for."""
    for seed, images, cloud, share, method in product(
        arguments.seeds, arguments.images, arguments.clouds, arguments.shares, arguments.methods
    ):
        yield Part(cloud, 1 / share, method, images, seed)


def write_table(photos: Path, more: Path | None, path: Path) -> None:
    """A table of the images in which training and validation have no labels.

    Args:
        photos: Class folders below ``train``, ``validation`` and ``test``.
        more: A folder with ``labels.csv`` (``path``, ``label``); photos of classes that ``photos`` has join
            training, those of others the test; images of unknown class are left out, as they may be of either.
        path: The CSV to write.
    """
    classes = {_plain(folder.name) for folder in (photos / "train").iterdir() if folder.is_dir()}
    rows = [
        (str(file.resolve()), split, _plain(file.parent.name) if split == "test" else "")
        for split in ("train", "validation", "test")
        for file in sorted((photos / split).rglob("*"))
        if file.is_file()
    ]
    if more is not None:
        with (more / "labels.csv").open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                label = _plain(row["label"])
                if label not in ("", "notsure", "skip"):
                    known = label in classes
                    file = str((more / row["path"]).resolve())
                    rows.append((file, "train" if known else "test", "" if known else f"{NEW}{label}"))
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "split", "label"), *rows])


def _plain(label: str) -> str:
    return label.lower().replace(" ", "")


def run(arguments: argparse.Namespace) -> None:
    """Train what is missing, two at a time with a thread each."""
    left = [part for part in parts(arguments) if not (arguments.out / part.name / PART).is_file()]
    arguments.out.mkdir(parents=True, exist_ok=True)
    if len(left) == 1:
        train(arguments, left[0])
        return
    for part in {part.embedded_as: part for part in left}.values():
        embedded(arguments, part)
    more = ["--more", str(arguments.more)] if arguments.more else []
    common = ["--photos", str(arguments.photos), *more, "--out", str(arguments.out), "--size", str(arguments.size)]
    common += ["--train", str(arguments.train)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def start(part: Part) -> None:
        command = [sys.executable, "-m", "benchmarks.frozen_cloud", "run", *common, *part.words]
        with (arguments.out / f"{part.name}.log").open("w") as log:
            code = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False).returncode
        print(part.name, "done" if code == 0 else f"FAILED, see {log.name}", flush=True)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(start, left))


def embedded(arguments: argparse.Namespace, part: Part) -> tuple[Dataset, Path]:
    """The images, changed copies included, and a file of what the cloud says of them, made once for all parts."""
    side = arguments.size
    takes = hetero.Preprocessing(height=side, width=side)
    table = arguments.out / "images.csv"
    if not table.is_file():
        write_table(arguments.photos, arguments.more, table)
    embedder = hetero.backbone_embedder(part.cloud, takes)
    photos = hetero.prepare(hetero.DataConfig(kind="csv", path=str(table)), embedder.preprocessing)
    if arguments.train:
        chosen = np.random.default_rng(0).permutation(len(photos.train))[: arguments.train]
        photos = photos.training_on(with_rows(photos.train, np.sort(chosen)))
    copies = copies_of(part.method, images=part.images, photos=len(photos.train))
    train = hetero.with_copies(photos.train, copies, AugmentConfig(flip=FLIP), cache=cache_directory())
    photos = photos.training_on(train)
    path = arguments.out / f"{part.cloud}{f'-{copies}-copies' if copies else ''}.safetensors"
    if not path.is_file():
        started = time.process_time()
        sets = (photos.train, photos.validation, photos.test)
        vectors = [embed_all(embedder, one.images, progress=f"embedding with {part.cloud}") for one in sets]
        seconds = time.process_time() - started
        save_embeddings(path, np.concatenate(vectors), [name for one in sets for name in one.names], embedder.space)
        write_json(path.with_suffix(".json"), {"macs": embedder.cost.macs, "copies": copies, "seconds": seconds})
    return photos, path


def train(arguments: argparse.Namespace, part: Part) -> None:
    """One training, and its figures on the test images."""
    work: Path = arguments.out / part.name
    photos, path = embedded(arguments, part)
    about = json.loads(path.with_suffix(".json").read_text())
    copies = about.get("copies", 0)
    cloud = hetero.CloudReference.from_file(path, photos)
    hetero.allow_code()  # NTXent is a term of our own
    config = student_of(part.method, share=part.share, images=part.images, copies=copies)
    student, costs = trained(config, photos, cloud, about["macs"], part.seed, work / "model")
    gallery = aligned(hetero.load_embeddings(path), photos.test)
    queries = hetero.embed_images(student, photos.test.images)
    centre, originals = cloud.train.mean(axis=0), slice(len(photos.train) // (copies + 1))
    pairs = {
        "training": (hetero.embed_images(student, photos.train.images[originals]), cloud.train[originals]),
        "test": (queries, gallery),
    }
    agreements = {
        what: float(agreement(*(torch.from_numpy(one) for one in (ours, theirs, centre))))
        for what, (ours, theirs) in pairs.items()
    }
    record = dataclasses.asdict(part) | where_and_when() | costs | {"agreement": agreements}
    record |= {"embedding": about.get("seconds"), "copies": copies}
    record |= {"macs": cost(student).macs, "cloud_macs": about["macs"]}
    write_json(work / PART, record | {"figures": figures(photos.test, queries, gallery)})


def trained(
    config: hetero.StudentConfig, photos: Dataset, cloud: hetero.CloudReference, macs: int, seed: int, work: Path
) -> tuple[hetero.EmbeddingModel, dict[str, float]]:
    """A student, the CPU seconds of its training, and how many of these read files (hetero has read them before)."""
    takes = photos.train.preprocessing
    assert takes is not None
    started, reading = time.process_time(), 0.0
    if config.name in LOOPS:
        student, reading = train_by_hand(photos.train, cloud.train, config, cloud_macs=macs, seed=seed)
    else:
        student = train_student(photos, cloud, config, takes, work, cloud_macs=macs, seed=seed, resume=False)
    return student, {"seconds": time.process_time() - started, "reading": reading}


def figures(images: ImageSet, queries: np.ndarray, gallery: np.ndarray) -> dict[str, Any]:
    """map@r a query in the cloud's gallery, and shares of the cloud's own, of trained and of new classes."""
    names = np.array([images.classes[label] for label in images.labels])
    labels = np.unique(names, return_inverse=True)[1].astype(np.int64)
    is_new = np.char.startswith(names, NEW)
    found: dict[str, Any] = {}
    for what, rows in {"known": np.flatnonzero(~is_new), "new": np.flatnonzero(is_new)}.items():
        if len(rows):
            ask = (labels[rows], labels[rows])
            across, within, cloud = (
                evaluate(asking[rows], searched[rows], *ask, exclude=np.arange(len(rows)))["map@r"]
                for asking, searched in ((queries, gallery), (queries, queries), (gallery, gallery))
            )
            found[what] = {
                "share": float(across.mean() / cloud.mean()),
                "own_share": float(within.mean() / cloud.mean()),
                "cloud": float(cloud.mean()),
                "map@r": across.tolist(),
            }
    return found


def main() -> None:
    """Run or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--photos", type=Path, help="class folders below train, validation and test")
    parser.add_argument("--more", type=Path, help="a folder of further photos with labels.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clouds", nargs="+", default=["efficientnet_lite0", "efficientnet_lite2"])
    parser.add_argument("--shares", type=int, nargs="+", default=[20, 80], help="1/N of the cloud's cost")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=(*METHODS, *ABLATIONS))
    parser.add_argument("--images", type=int, nargs="+", default=[64_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--train", type=int, default=0, help="training photos, drawn of all; 0 for all")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a thread each")
    arguments = parser.parse_args()
    if arguments.what == "table":
        table(arguments.out)
    elif arguments.photos is None:
        parser.error("run needs --photos")
    else:
        run(arguments)


if __name__ == "__main__":
    main()
