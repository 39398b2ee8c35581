"""The work of each stage: read the files of earlier stages, and write its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hetero.data.embeddings.file import save_embeddings
from hetero.files import read_json, write_bytes, write_json
from hetero.pipeline.context import Context
from hetero.pipeline.engine.threads import cores
from hetero.pipeline.policy import policy_of
from hetero.processes.ranks import on_first_rank
from hetero.training.config import StudentConfig

if TYPE_CHECKING:
    from hetero.models.model import EmbeddingModel

INT8 = "int8"
"""Folder of an export: the student, tuned for int8."""

# Each stage has its own process: it imports only what it needs, and torch only where a model runs.


def data(context: Context, work: Path) -> None:
    """Decode (or draw) the images, and write a summary of them."""
    dataset = context.dataset
    sets = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    summary = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "sets": {
            name: {"images": len(images), "unlabelled": images.unlabelled, "classes": len(images.classes)}
            for name, images in sets.items()
        },
        "test_tasks": {
            task.name: {"queries": len(task.query), "gallery": len(task.gallery)} for task in dataset.test_tasks
        },
        "notes": list(dataset.notes),
    }
    write_json(work / "data.json", summary)


def cloud(context: Context, work: Path) -> None:
    """Train the cloud model, or use an existing one; embed every image with it once."""
    recipe = context.recipe
    if recipe.cloud.is_external:
        from hetero.pipeline.external_cloud import external_cloud

        external_cloud(recipe, context.with_copies, work)
        return
    from hetero.training.cloud import train_cloud

    model = train_cloud(
        context.dataset, recipe.cloud, recipe.cloud_preprocessing, work, seed=recipe.seed, resume=context.resume
    )
    on_first_rank(lambda: _embed(context, work, model))


def _embed(context: Context, work: Path, model: EmbeddingModel) -> None:
    import torch

    from hetero.models.device import on_fastest_device
    from hetero.models.directory import MIRRORS
    from hetero.models.embed import embed_images
    from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS
    from hetero.training.reference.mirrored import takes_mirrored_alike

    assert model.space is not None
    on_fastest_device(model)
    dataset, preprocessing = context.dataset, context.recipe.cloud_preprocessing
    sets = (context.with_copies.train, dataset.validation, dataset.test)
    inputs = [part.prepared_by(preprocessing).images for part in sets]
    # Stages that wait for the cloud leave cores idle.
    at_once = max(1, cores() // torch.get_num_threads())
    title = "embedding with the cloud model"
    embeddings = [embed_images(model, images, progress=title, at_once=at_once) for images in inputs]
    mirrors = takes_mirrored_alike(partial(embed_images, model), inputs[0], embeddings[0])
    write_json(work / "metrics.json", read_json(work / "metrics.json") | {MIRRORS: mirrors})
    names = [name for part in sets for name in part.names]
    save_embeddings(work / CLOUD_EMBEDDINGS, np.concatenate(embeddings), names, model.space)


def texts(context: Context, work: Path) -> None:
    """Fit a text tower to the cloud's space, and write its vectors of the texts."""
    from hetero.data.embeddings.file import load_embeddings
    from hetero.data.sources.emoji import unicode_names
    from hetero.text.fitted_texts import write_fitted_texts
    from hetero.training.reference.cloud_reference import cloud_embeddings

    recipe, dataset = context.recipe, context.dataset
    assert recipe.cloud.text is not None
    stored = load_embeddings(cloud_embeddings(context.cloud))
    sets = (dataset.train, dataset.validation, dataset.test)
    titles = unicode_names(code for part in sets for code in part.classes) if recipe.data.kind == "emoji" else None
    write_fitted_texts(recipe.cloud.text, dataset, stored, work, titles=titles)


def student(context: Context, work: Path, config: StudentConfig) -> None:
    """Train a student from the cloud's cached embeddings."""
    from hetero.training.student import train_student

    recipe = context.recipe
    dataset = context.dataset if config.independent else context.with_copies
    train_student(
        dataset,
        None if config.independent else context.reference(dataset, config.objectives, live=config.embeds_live),
        config,
        recipe.preprocessing,
        work,
        cloud_macs=_costs(context.cloud).get("macs", 0),
        seed=recipe.seed,
        resume=context.resume,
    )


def searched_student(context: Context, work: Path, tier: str) -> None:
    """Train a tier's student from scratch, like any other student."""
    from hetero.pipeline.search import student_of

    student(context, work, student_of(context, tier))


def adapt(context: Context, work: Path, config: StudentConfig) -> None:
    """Adapt a trained student to a new domain, as a model beside it."""
    from hetero.pipeline.adapted import adapt_student

    adapt_student(context, work, config)


def anchor_factors(context: Context, work: Path, config: StudentConfig) -> None:
    """Keep the factors of the training photos for a student, which stand in for them once they are gone."""
    from hetero.linear.anchoring import ANCHOR_FACTORS, write_anchor_factors

    assert config.anchor_factors is not None
    write_anchor_factors(context.student(config.name), context.dataset, work / ANCHOR_FACTORS, config.anchor_factors)


def evaluate(context: Context, work: Path) -> None:
    """Write the compatibility matrix of all models, and each model's decisions in the cloud gallery (test images)."""
    from hetero.evaluation.decisions import Decisions
    from hetero.evaluation.heatmap import heatmap
    from hetero.evaluation.matrix import ModelCost, matrix_of
    from hetero.evaluation.pairs import measure_pairs
    from hetero.metrics.registry import in_full
    from hetero.pipeline.adapted import LIST, adapted_names
    from hetero.pipeline.vectors import VECTORS, model_vectors
    from hetero.space import EmbeddingSpace

    recipe, test = context.recipe, context.dataset.test
    space = EmbeddingSpace.load(context.cloud / "space.json")
    embeddings = model_vectors(context, work / VECTORS)
    costs = {name: context.student(name) for name in embeddings} | {recipe.cloud.name: context.cloud}
    labels, tasks, cloud = np.asarray(test.labels), context.dataset.test_tasks, recipe.cloud.name
    texts = context.texts and context.texts.of(test)
    pairs = measure_pairs(embeddings, labels, tasks, metrics=in_full(recipe.search.metric))
    matrix = matrix_of(
        pairs,
        embeddings,
        labels,
        texts=texts,
        gallery_model=cloud,
        costs={name: ModelCost(**cost) for name, directory in costs.items() if len(cost := _costs(directory)) == 2},
        space_id=space.space_id,
        seed=recipe.seed,
    )
    matrix.save(work / "matrix.json")
    write_bytes(work / "matrix.svg", heatmap(matrix))
    for name in matrix.models:
        if result := pairs.results.get((name, cloud)):
            origin = {"query_model": name, "gallery_model": cloud, "space_id": space.space_id}
            Decisions.of(result, tasks, test.names, **origin).save(work / "decisions" / f"{name}.json")
    write_json(work / LIST, adapted_names(recipe))
    if recipe.tiers:
        from hetero.pipeline.searched_figure import evaluated_figure

        write_bytes(work / "front.svg", evaluated_figure(recipe, matrix))


def export(context: Context, work: Path, config: StudentConfig) -> None:
    """Export a student as a bundle; when int8 misses its goal, fine-tune the student for it and export again.

    A refused adaptation has no model, and so no bundle.
    """
    if not context.has_model(config.name):
        return
    if on_first_rank(lambda: _export(context, work, config)) and context.recipe.export.tuning_steps:
        _tune(context, work / INT8, config)
        on_first_rank(lambda: _export(context, work, config, tuned=work / INT8))


def _export(context: Context, work: Path, config: StudentConfig, *, tuned: Path | None = None) -> bool:
    """Export a student, in int8 as it was tuned; return True if int8 misses its goal."""
    from export.api import export_model, misses_goal
    from hetero.pipeline.export_sets import calibration_set, retrieval_set

    settings, student = context.recipe.export, context.student(config.name)
    retrieval = retrieval_set(context)
    reduced = any(precision != "fp32" for precision in settings.precisions)
    export_model(
        student,
        retrieval,
        work / "bundle",
        formats=settings.formats,
        precisions=settings.precisions,
        calibration=calibration_set(context, retrieval.images) if reduced else None,
        goldens=settings.goldens,
        any_batch=settings.any_batch,
        licence=settings.licence,
        images=settings.images,
        goals=settings.goals,
        key=Path(settings.key) if settings.key else None,
        tuned=tuned,
    )
    return misses_goal(work / "bundle")


def _tune(context: Context, work: Path, config: StudentConfig) -> None:
    from hetero.training.quantization_aware import tune_for_int8

    dataset = context.with_copies
    tune_for_int8(
        dataset,
        context.reference(dataset, config.objectives, live=config.embeds_live),
        config,
        context.student(config.name),
        work,
        steps=context.recipe.export.tuning_steps,
        seed=context.recipe.seed,
        resume=context.resume,
    )


def targets(context: Context, work: Path) -> None:
    """Set up the emulated targets, which takes a while; those that fail now are left to the verification."""
    from device_tests.ladder.ahead import set_up_ahead

    write_json(work / "targets.json", set_up_ahead(context.recipe.verify.targets))


def emulate(context: Context, work: Path, config: StudentConfig) -> None:
    """Run one bundle on the emulated targets, and keep their answers for the verification."""
    if not context.has_model(config.name):
        return
    from device_tests.ladder.ahead import ask_ahead

    settings = context.recipe.verify
    answers = ask_ahead(context.bundle(config.name), settings.targets, queries=settings.queries)
    write_json(work / "answers.json", answers)


def verify(context: Context, work: Path) -> None:
    """Run every bundle on every target."""
    from device_tests.ladder.verify import verify as verify_bundles

    settings = context.recipe.verify
    verify_bundles(context.bundles, settings.targets, work, gates=policy_of(settings), queries=settings.queries)


def report(context: Context, work: Path) -> None:
    """Write one page with the verdict and pictures."""
    from device_tests.report.page import write_report
    from hetero.pipeline.adapted import adaptations

    write_report(
        work / "report.html",
        rows=read_json(context.root / "verification" / "verdict.json"),
        matrix=read_json(context.root / "evaluation" / "matrix.json"),
        bundles=context.bundles,
        embeddings=context.root / "verification" / "embeddings",
        adaptations=adaptations(context.root),
        folder=context.root,
    )


def _costs(directory: Path) -> dict[str, int]:
    path = directory / "metrics.json"
    metrics: dict[str, Any] = read_json(path) if path.is_file() else {}
    return {name: int(metrics[name]) for name in ("macs", "parameters") if name in metrics}
