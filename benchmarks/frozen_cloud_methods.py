"""The students that :mod:`benchmarks.frozen_cloud` compares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor
from torch.nn.functional import cosine_similarity

import hetero
from hetero import AugmentConfig, Batch, ObjectiveConfig
from hetero.data.augmentation.config import LIGHT, UNCHANGED

BATCH = 64
FLIP = 0.5

BY_HAND = {"optimizer": "adamw", "learning_rate": 6e-3}
"""The optimiser of the loops that a user would write."""


def cosine_distance(embeddings: Tensor, cloud: Tensor) -> Tensor:
    """One less the mean cosine of a student's and the cloud's vectors of the same images, both [b, d]."""
    return 1 - cosine_similarity(embeddings, cloud).mean()


def ntxent_distance(embeddings: Tensor, cloud: Tensor) -> Tensor:
    """pytorch-metric-learning's NTXent with the cloud's vectors of the same images, both [b, d], as ``ref_emb``."""
    own = torch.arange(len(embeddings))
    # Of labels that are one object the loss takes each pair with itself out.
    return NTXentLoss(temperature=0.07)(embeddings, own, ref_emb=cloud, ref_labels=own.clone())


LOOPS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "by-hand": cosine_distance,
    "by-hand-ntxent": ntxent_distance,
}
"""The methods that hetero does not train, and their losses: :mod:`benchmarks.frozen_cloud_by_hand`."""


def _by_hand(*terms: ObjectiveConfig) -> dict[str, Any]:
    """Such a loop with these terms, in all dimensions."""
    return {"principal": 0, "objectives": terms, "training": BY_HAND}


_COSINE = _by_hand(ObjectiveConfig("cloud_regression"))
_NTXENT = _by_hand(ObjectiveConfig("benchmarks.frozen_cloud_methods:ntxent"))

METHODS: Mapping[str, dict[str, Any]] = {
    "default": {},
    "cosine": _COSINE,
    "by-hand": _COSINE,
    "ntxent": _NTXENT,
    "by-hand-ntxent": _NTXENT,
    "instance": _by_hand(ObjectiveConfig("instance_contrastive")),
    # The former default without its classifiers, which need labels; where each image is a class of its own, its
    # contrast by class was contrast by image.
    "before": _by_hand(
        ObjectiveConfig("cloud_regression", 20.0), ObjectiveConfig("instance_contrastive", 0.3, temperature=0.1)
    ),
}
"""The default, and what stands beside it: what differs from the default."""

_REGRESSION, _CONTRAST = hetero.StudentConfig("default").objectives
_UNCENTRED = (ObjectiveConfig("cloud_regression", 10.0), _CONTRAST)
_CENTRED = (_REGRESSION, ObjectiveConfig("instance_contrastive", temperature=0.1, centred=True))

ABLATIONS: Mapping[str, dict[str, Any]] = {
    "without-muon": {"training": {"optimizer": "adamw", "learning_rate": 12e-3}},
    "without-light-changes": {"training": {"augment": AugmentConfig(scale=(0.7, 1.3), flip=FLIP, erase=0.2)}},
    "without-directions": {"principal": 0},
    "without-centre": {"objectives": _UNCENTRED},
    "with-centred-contrast": {"objectives": _CENTRED},
    "without-contrast": {"objectives": (_REGRESSION,)},
    "without-regression": {"objectives": (_CONTRAST,)},
    "with-copies": {},
    "with-average": {"training": {"average": 0.99}},
    "with-refit": {"refit": True},
    "with-mixup": {"training": {"mixup": 0.2}},
    "cosine-muon": {**_COSINE, "training": {}},
    "cosine-directions": {**_COSINE, "principal": "auto"},
    "cosine-centred": _by_hand(ObjectiveConfig("cloud_regression", centred=True)),
}
"""Each ingredient removed from the default, added to it, and added to the plain cosine loop alone."""


def copies_of(method: str, *, images: int, photos: int) -> int:
    """Changed copies of each photo that the cloud embeds for a method: of ``with-copies`` each is shown ten times.

    Args:
        method: A key of :data:`METHODS` or :data:`ABLATIONS`.
        images: Seen in training.
        photos: Different ones.
    """
    return images // photos // 10 if method == "with-copies" else 0


def student_of(method: str, *, share: float, images: int, copies: int = 0) -> hetero.StudentConfig:
    """The student that a method trains; all share architecture, images and batches.

    Args:
        method: A key of :data:`METHODS` or :data:`ABLATIONS`.
        share: Of the cloud's multiply-accumulates.
        images: Seen in training.
        copies: Of each photo, which are changed already.
    """
    changes = dict({**METHODS, **ABLATIONS}[method])
    steps = images // BATCH
    common = {
        "steps": steps,
        "batch": BATCH,
        "validate_every": max(1, steps // 5),
        "threads": 1,
        "augment": dataclasses.replace(UNCHANGED if copies else LIGHT, flip=FLIP),
    }
    training = hetero.TrainingConfig(**(common | changes.pop("training", {})))
    return hetero.StudentConfig(name=method, max_macs_share=share, training=training, **changes)


def ntxent(batch: Batch) -> Tensor:
    """:func:`ntxent_distance` as a term of hetero's own loop."""
    assert batch.cloud is not None
    return ntxent_distance(batch.embeddings, batch.cloud)


ntxent.needs = {"cloud"}  # pyright: ignore[reportFunctionMemberAccess]
