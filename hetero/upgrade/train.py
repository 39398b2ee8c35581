"""Trains a new cloud model that searches the old one's gallery (backward-compatible training, arXiv 2003.11942)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hetero.data.augmentation.copies import with_copies
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.gallery.truncate import truncated
from hetero.metrics.registry import choices_in_words
from hetero.metrics.retrieval import evaluate_tasks
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.processes.ranks import on_first_rank
from hetero.space import EmbeddingSpace
from hetero.training.batches.labels import require_labels, with_labels_where_needed
from hetero.training.cloud import Beside, train_cloud
from hetero.training.config import COMPARES_WITH_CLOUD, CloudConfig, JudgedBy
from hetero.training.judging.judgement import Judgement
from hetero.training.judging.validation import BY_CLASS, metrics_of
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.seeds import seed_of
from hetero.upgrade.config import UpgradeConfig
from hetero.upgrade.earlier import EarlierModel
from hetero.upgrade.measure import Upgrade, measure_upgrade

RECORD = "upgrade.json"
CONTROL = "control"


def train_upgrade(
    dataset: Dataset,
    old: Path,
    config: CloudConfig,
    upgrade: UpgradeConfig,
    preprocessing: Preprocessing,
    directory: Path,
    *,
    seed: int = 0,
    resume: bool = True,
) -> Upgrade:
    """Train a new cloud model whose vectors search the old model's gallery, measure it, and write its model directory.

    The loss is the new model's own objectives plus the terms of ``upgrade.objectives``, by default the old model's
    frozen head on the new vectors. The new model keeps its own space; ``space.json`` names the old one, with the
    figures, when M(n, o) > M(o, o) on the test images. All figures are in ``upgrade.json``.

    Args:
        dataset: Images, with any further classes that the old model was not trained on. Training images without a
            label are left out where an objective learns from labels. Weights are chosen on the validation tasks, by
            the mean of M(n, n) and M(n, o) (M(n, n) when the old model's vectors of the validation images are not
            known); figures are measured on the test tasks.
        old: The old model's directory, or a file of its embeddings of all images (then all classes are represented by
            class means).
        config: The new model. ``copies`` changed copies of each training image replace augmentation, which would not
            match the old model's cached vectors.
        upgrade: The constraint.
        preprocessing: Part of the new model.
        directory: Receives the new model directory, checkpoint and log; a control is written to ``control`` in it.
        seed: Fixes initial weights, batches and augmentation; the control has another seed.
        resume: True to continue from checkpoints of the same run.

    Returns:
        The figures.

    Raises:
        InputError: When the old model is missing, expects another preprocessing, or lacks vectors of images; when an
            objective learns from labels and no training image has one.
    """
    if not upgrade.objectives:
        raise InputError("upgrade.objectives: expected at least one term that looks at the old model, got none")
    terms = config.objectives + upgrade.objectives
    dataset = with_labels_where_needed(terms, dataset)
    require_labels(terms, dataset, f"cloud model {config.name}", has_cloud=True)
    earlier = EarlierModel.open(old, preprocessing)
    dataset = dataset.prepared_by(preprocessing)
    old_test = earlier.embed(dataset.test)  # before training: a file that lacks test images could not be measured
    copies = with_copies(dataset.train, config.copies, config.copies_augment, seed=seed)
    trained_on = dataset.training_on(copies) if config.copies else dataset
    reference = earlier.reference(trained_on, upgrade.missing_classes)
    judged_by = config.training.judged_by
    beside = Beside(reference, upgrade.objectives, upgrade.live, compatible_validation(dataset, reference, judged_by))
    model = train_cloud(trained_on, config, preprocessing, directory, beside=beside, seed=seed, resume=resume)
    control = (
        _control(trained_on, config, preprocessing, directory / CONTROL, seed, resume) if upgrade.control else None
    )
    result = on_first_rank(lambda: _measure(dataset, (earlier.space, old_test), model, control, seed))
    assert model.space is not None
    model.space = dataclasses.replace(model.space, compatible_with=result.contract())
    on_first_rank(lambda: _save(directory, model.space, result))
    return result


def _save(directory: Path, space: EmbeddingSpace | None, result: Upgrade) -> None:
    assert space is not None
    space.save(directory / "space.json")
    result.save(directory / RECORD)


def _measure(
    dataset: Dataset,
    old: tuple[EmbeddingSpace, Float32[np.ndarray, "n c"]],
    model: EmbeddingModel,
    control: EmbeddingModel | None,
    seed: int,
) -> Upgrade:
    assert model.space is not None
    test = dataset.test
    return measure_upgrade(
        (model.space, embed_images(model, test.images, progress="embedding with the new model")),
        old,
        np.asarray(test.labels),
        dataset.test_tasks,
        control=None if control is None else embed_images(control, test.images, progress="embedding with the control"),
        data=test.fingerprint,
        seed=seed,
    )


def compatible_validation(
    dataset: Dataset, old: CloudReference, judged_by: JudgedBy = "auto"
) -> Callable[[EmbeddingModel], Judgement]:
    """Return a function that judges an upgrade by means of M(n, n) and M(n, o) on the validation tasks.

    Args:
        dataset: Gives validation images and tasks.
        old: M(n, n) alone counts when its vectors of the validation images are not known.
        judged_by: ``map@r`` (``auto``, too) or another metric of retrieval.

    Raises:
        InputError: For a figure that a new space cannot be judged by.
    """
    if judged_by in COMPARES_WITH_CLOUD:
        raise InputError(
            f"cloud.training.judged_by: {judged_by} compares with a space to live in, and an upgrade makes one of its "
            f"own; expected {choices_in_words('auto')}"
        )
    chosen = BY_CLASS if judged_by == "auto" else judged_by
    metrics = metrics_of(chosen)
    labels, tasks = np.asarray(dataset.validation.labels), dataset.validation_tasks
    gallery = old.validation

    def validate(model: EmbeddingModel) -> Judgement:
        vectors = embed_images(model, dataset.validation.images)
        measured = {"M(n, n)": evaluate_tasks(vectors, vectors, labels, tasks, metrics=metrics)}
        if gallery is not None:
            query = truncated(vectors, gallery.shape[1])
            measured["M(n, o)"] = evaluate_tasks(query, gallery, labels, tasks, metrics=metrics)
        figures = {name: float(np.mean([one.mean(name) for one in measured.values()])) for name in metrics}
        return Judgement(chosen, figures | {pair: one.mean(BY_CLASS) for pair, one in measured.items()})

    return validate


def _control(
    dataset: Dataset, config: CloudConfig, preprocessing: Preprocessing, directory: Path, seed: int, resume: bool
) -> EmbeddingModel:
    # Another seed, because models with equal initial weights would resemble each other even when trained separately.
    independent = dataclasses.replace(config, name=f"{config.name}-control")
    other = seed_of("independent control", seed) % 2**31
    return train_cloud(dataset, independent, preprocessing, directory, seed=other, resume=resume)
