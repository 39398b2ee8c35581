"""Whether figures that need no labels rank students as labels do.

    python benchmarks/label_free_validation.py photos --out runs/label-free

Any folder of labelled photos (or ``emoji``, the built-in set). A frozen EfficientNet-Lite0 is the cloud model, its raw
features without labels are the space; small students are trained in it by several methods that never see a label, and
looked at all along, early weights and overtrained ones. Each look is worth what M(q, g) is on the *test* images, with
their labels; the figures are computed from the *validation* images, without. Vectors are kept in ``--out``, so that a
further figure costs no training.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import hetero  # noqa: E402
from benchmarks.label_free_figures import FIGURES, Held, unit  # noqa: E402
from benchmarks.machine import where_and_when  # noqa: E402
from hetero import (  # noqa: E402
    Judgement,
    ObjectiveConfig,
)
from hetero.data.subset import with_rows  # noqa: E402
from hetero.models.backbones.pretrained import backbone  # noqa: E402
from hetero.models.cost import counted  # noqa: E402
from hetero.objectives.registry import Head  # noqa: E402
from hetero.training.budget import fit_budget  # noqa: E402
from hetero.training.loop.loop import fit  # noqa: E402
from hetero.training.loop.module import TrainingModule  # noqa: E402
from hetero.training.loop.run import Run  # noqa: E402
from hetero.training.reference.cloud_tensors import cloud_tensors  # noqa: E402

REGRESSION = ObjectiveConfig("cloud_regression", 20.0)
METHODS: Mapping[str, tuple[ObjectiveConfig, ...]] = {
    "cosine": (REGRESSION,),
    "cosine+instance": (REGRESSION, ObjectiveConfig("instance_contrastive")),
    "instance": (ObjectiveConfig("instance_contrastive"),),
    "csd": (ObjectiveConfig("csd", neighbours=256, temperature=0.1),),
    "raml": (ObjectiveConfig("raml", 20.0),),
}
STAGES = (
    hetero.Stage(channels=16, stride=2, expansion=2.0),
    hetero.Stage(channels=24, stride=2),
    hetero.Stage(channels=48, depth=2, stride=2, kernel=5, squeeze_excite=True),
    hetero.Stage(channels=96, stride=2, squeeze_excite=True),
)
UNCHANGED = hetero.AugmentConfig(rotation=0, scale=(1, 1), shift=0, grey=0, brightness=0, contrast=0)
ALTERED = hetero.AugmentConfig(
    rotation=15, scale=(0.7, 1.3), flip=0.5, grey=0.1, brightness=0.3, contrast=0.3, blur=0.1, erase=0.2
)
CEILING = "map@r with labels"


class Pooled(torch.nn.Module):
    """The frozen network's features, averaged over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = backbone("efficientnet_lite0")

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float32 [b, 3, h, w] to [b, d]."""
        return self.backbone(pixels).mean(dim=(2, 3))


class Space(NamedTuple):
    """The cloud's vectors and the images; the validation images are followed by an altered copy of each."""

    data: hetero.Dataset
    cloud: hetero.CloudReference
    held: hetero.ImageSet
    held_vectors: NDArray[np.float32]
    test_vectors: NDArray[np.float32]
    macs: int


class Looks(NamedTuple):
    """A method's students, one after the other: float32 [looks, n, d] of held-out and test images."""

    held: NDArray[np.float32]
    test: NDArray[np.float32]


def space_of(photos: str, side: int, images: int, seed: int) -> Space:
    taken = {"mean": (0.498,) * 3, "std": (0.502,) * 3}  # EfficientNet-Lite's own
    preprocessing = hetero.Preprocessing(height=side, width=side, resize="pad", **taken)
    where = hetero.DataConfig(kind="emoji") if photos == "emoji" else hetero.DataConfig(kind="folder", path=photos)
    data = hetero.prepare(where, preprocessing)
    rows = np.random.default_rng(seed).permutation(len(data.train))[:images]
    train = with_rows(data.train, np.sort(rows))
    data = data.training_on(dataclasses.replace(train, labels=np.arange(len(train)), classes=train.names))
    network = Pooled()
    cloud = hetero.ModuleEmbedder(network, preprocessing)
    held = hetero.with_copies(data.validation, 1, ALTERED, seed=seed + 1)
    vectors = [hetero.embed_all(cloud, one.images) for one in (held, data.test)]
    macs = counted(network, torch.zeros(1, 3, side, side)).macs
    return Space(data, hetero.CloudReference.from_embedder(cloud, data), held, *vectors, macs)


def trained(space: Space, terms: tuple[ObjectiveConfig, ...], name: str, options: argparse.Namespace) -> Looks:
    """A method's students, from ``--out`` when they are there."""
    kept = options.out / f"{name}.npz"
    if kept.is_file():
        return Looks(**np.load(kept))
    torch.manual_seed(options.seed)
    config = hetero.TrainingConfig(
        steps=options.steps,
        classes_per_batch=options.batch,
        images_per_class=1,
        learning_rate=6e-3,
        validate_every=options.steps // options.looks,
        checkpoint_every=options.steps,
        threads=1,
        augment=UNCHANGED,
    )
    preprocessing = space.data.train.preprocessing
    student = hetero.StudentConfig(
        name, model=hetero.ModelConfig(stem_channels=8, stages=STAGES), max_macs=space.macs // options.share
    )
    shape = fit_budget(student, space.cloud.space.dimension, preprocessing, 0)
    model = hetero.EmbeddingModel(name, shape, preprocessing)
    prototypes = torch.from_numpy(space.cloud.prototypes)
    head = Head(*prototypes.shape, kind="none", margin=0.0, scale=16.0, cloud_prototypes=prototypes)
    held: list[NDArray[np.float32]] = []
    test: list[NDArray[np.float32]] = []

    def look(model: hetero.EmbeddingModel) -> Judgement:
        held.append(hetero.embed_images(model, space.held.images))
        test.append(hetero.embed_images(model, space.data.test.images))
        return Judgement("none", {"none": 0.0})

    fit(
        TrainingModule.of(model, terms, head),
        space.data.train,
        config,
        Run(options.out / name, name, options.seed, name, resume=False),
        validate=look,
        cloud=cloud_tensors(space.cloud, space.data, live=False, who=name, seed=options.seed),
    )
    looks = Looks(np.stack(held), np.stack(test))
    np.savez(kept, **looks._asdict())
    return looks


def figures_of(space: Space, looks: Looks) -> list[dict[str, float]]:
    """Of each look: its worth on test images, each figure, and for comparison the validation's by labels."""
    data, count = space.data, len(space.data.validation)
    center = space.cloud.train.mean(axis=0)
    rows: list[dict[str, float]] = []
    for seen, test in zip(looks.held, looks.test, strict=True):
        images, copies = unit(seen[:count]), unit(seen[count:])
        theirs, of_copies = space.held_vectors[:count], space.held_vectors[count:]
        held = Held(images, theirs, copies, of_copies, center, data.validation_tasks)
        by_label = evaluate(images, theirs, data.validation, data.validation_tasks)
        worth = evaluate(unit(test), space.test_vectors, data.test, data.test_tasks)
        rows.append({"worth": worth, CEILING: by_label, **{name: figure(held) for name, figure in FIGURES.items()}})
    return rows


def evaluate(query: Any, gallery: Any, images: hetero.ImageSet, tasks: Any) -> float:
    return hetero.metrics.evaluate_tasks(query, gallery, np.asarray(images.labels), tasks).mean("map@r")


def correlations(rows: Mapping[str, list[dict[str, float]]], name: str, seed: int) -> dict[str, Any]:
    """How a figure ranks the looks, beside their worth; intervals are over looks."""
    worth, figure = (np.array([row[key] for looks in rows.values() for row in looks]) for key in ("worth", name))
    late = np.concatenate([np.arange(len(looks)) >= len(looks) // 2 for looks in rows.values()])
    within = [spearmanr([row[name] for row in looks], [row["worth"] for row in looks])[0] for looks in rows.values()]
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(worth), len(worth)) for _ in range(1000)]
    low, high = np.percentile([spearmanr(figure[one], worth[one])[0] for one in draws], [2.5, 97.5])
    return {
        "spearman": _rounded(spearmanr(figure, worth)[0]),
        "interval": [_rounded(low), _rounded(high)],
        "kendall": _rounded(kendalltau(figure, worth)[0]),
        "later half": _rounded(spearmanr(figure[late], worth[late])[0]),
        "within methods": _rounded(np.mean(within)),
        "lost by choosing": _rounded(worth.max() - worth[figure.argmax()]),
    }


def _rounded(value: Any) -> float:
    return round(float(value), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("photos", help="folder of labelled photos, or emoji")
    parser.add_argument("--out", type=Path, required=True, help="where vectors are kept")
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--images", type=int, default=1024, help="training images; few are soon known by heart")
    parser.add_argument("--share", type=int, default=40, help="a student costs the cloud's over this")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--looks", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    space = space_of(options.photos, options.side, options.images, options.seed)
    rows = {name: figures_of(space, trained(space, terms, name, options)) for name, terms in METHODS.items()}
    found = {name: correlations(rows, name, options.seed) for name in (CEILING, *FIGURES)}
    for name in sorted(found, key=lambda one: -found[one]["spearman"]):
        print(f"{found[name]['spearman']:+.3f} {found[name]['interval']} {name}", file=sys.stderr)
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    worth = {name: [_rounded(row["worth"]) for row in looks] for name, looks in rows.items()}
    json.dump({"figures": found, "worth": worth, **asked, **where_and_when()}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
