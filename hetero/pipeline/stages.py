"""The stages of a run, from images to a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hetero
from hetero.files import digest, sha256_file
from hetero.linear.config import NewDomain
from hetero.models.families import BY_NAME
from hetero.nas.supernet.config import SupernetConfig
from hetero.own_code import source_digest
from hetero.pipeline.context import TEXTS, Context
from hetero.pipeline.engine.stage import RunStage
from hetero.pipeline.engine.threads import with_threads
from hetero.pipeline.recipe import Recipe
from hetero.training.config import StudentConfig

CHECKPOINTS = ("checkpoint.safetensors", "best.safetensors", "copies.f16")
NAMES = ("data", "cloud", "search", "students", "evaluate", "export", "verify", "report")


def stages_of(context: Context) -> list[tuple[str, RunStage]]:
    """Return all stages of a recipe, in order of dependence, each with the name of its group (one of :data:`NAMES`).

    Each identity includes those of the stages that it builds on, so a change anywhere reaches all that follow.
    """
    recipe = context.recipe
    data = _stage("data", "data", partial(_call, "data", context), [_images_identity(recipe)])
    targets = _stage("targets", "targets", partial(_call, "targets", context), [list(recipe.verify.targets)])
    cloud = _stage(
        "cloud",
        "cloud",
        partial(_call, "cloud", context),
        [_cloud_settings(recipe), _cloud_files(recipe), recipe.seed],
        [data],
        scratch=CHECKPOINTS,
        trains=not recipe.cloud.is_external,
        shared=not recipe.cloud.is_external,
    )
    texts = _text_stages(context, data, cloud)
    searching = _search_stages(context, data, cloud, texts) if recipe.tiers else []
    students = [(student, _student_stage(context, student, data, cloud, texts)) for student in recipe.students]
    students += [
        (student, _searched_stage(context, student, data, cloud, texts, searching[-1]))
        for student in recipe.all_students[len(recipe.students) :]
    ]
    models = [*students, *_adapted(context, students, data, cloud)]
    evaluate = _stage(
        "evaluate",
        "evaluation",
        partial(_call, "evaluate", context),
        _texts(recipe),
        [data, cloud, *texts, *(stage for _, stage in models)],
        publish=("matrix.json",),
    )
    shipped = [(model, stage) for model, stage in models if not model.independent]
    exports = [
        (student, _export_stage(context, student, [data, cloud, *texts, trained])) for student, trained in shipped
    ]
    emulated = _emulated(recipe)
    emulation = [_asking_stage(context, student, targets, stage) for student, stage in exports] if emulated else []
    verify = _stage(
        "verify",
        "verification",
        partial(_call, "verify", context),
        [_plain(recipe.verify), _content_of(recipe.verify.policy)],
        # Models are timed, so all other stages run before.
        [*(stage for _, stage in exports), *emulation, evaluate],
        publish=("verdict.json",),
    )
    report = _stage(
        "report",
        "report",
        partial(_call, "report", context),
        [],
        [evaluate, verify],
        publish=("report.html",),
    )
    grouped = [
        ("data", data),
        *([("verify", targets)] if emulated else []),
        ("cloud", cloud),
        *(("cloud", stage) for stage in texts),
        *(("search", stage) for stage in searching),
        *(("students", stage) for _, stage in models),
        *(("students", stage) for stage in _factor_stages(context, students, data)),
        *(("export", stage) for _, stage in exports),
        *(("verify", stage) for stage in emulation),
        ("evaluate", evaluate),
        ("verify", verify),
        ("report", report),
    ]
    shared = with_threads([stage for _, stage in grouped])
    return [(group, stage) for (group, _), stage in zip(grouped, shared, strict=True)]


def _text_stages(context: Context, data: RunStage, cloud: RunStage) -> list[RunStage]:
    """Return the stage that fits a text tower to the cloud's space, if the recipe asks for one."""
    text = context.recipe.cloud.text
    if text is None or not text.fit:
        return []
    inputs = _texts(context.recipe)
    return [_stage(TEXTS, TEXTS, partial(_call, "texts", context), inputs, [data, cloud])]


def _student_stage(
    context: Context, student: StudentConfig, data: RunStage, cloud: RunStage, texts: Sequence[RunStage]
) -> RunStage:
    student = student.before_adapted
    learnt = texts if _texts_of(context.recipe, student) else []
    return _stage(
        f"student {student.name}",
        f"students/{student.name}",
        partial(_call, "student", context, student),
        [_plain(student), context.recipe.seed, *_start_of(student), *_texts_of(context.recipe, student)],
        [data] if student.independent else [data, cloud, *learnt],
        scratch=CHECKPOINTS,
        trains=True,
        shared=True,
    )


def _start_of(student: StudentConfig) -> list[str]:
    """Return the digest of the model that the student starts from, if any."""
    return [_content_of(str(Path(student.start) / "config.json"))] if student.start else []


def _adapted(
    context: Context, students: Sequence[tuple[StudentConfig, RunStage]], data: RunStage, cloud: RunStage
) -> list[tuple[StudentConfig, RunStage]]:
    """Return the adapted models with their stages, which leave only figures where an adaptation is refused."""
    return [
        (
            student.adapted,
            _stage(
                f"adapt {student.name}",
                f"students/{student.adapted.name}",
                partial(_call, "adapt", context, student),
                [_plain(student.adapt), *_domain_files(student.adapt, context.recipe)],
                [data, cloud, trained],
                trains=True,
            ),
        )
        for student, trained in students
        if student.adapt
    ]


def _factor_stages(
    context: Context, students: Sequence[tuple[StudentConfig, RunStage]], data: RunStage
) -> list[RunStage]:
    """Return the stages that keep the factors of the training photos for some students."""
    return [
        _stage(
            f"anchor factors {student.name}",
            f"anchors/{student.name}",
            partial(_call, "anchor_factors", context, student),
            [student.anchor_factors],
            [data, trained],
        )
        for student, trained in students
        if student.anchor_factors
    ]


def _domain_files(domain: NewDomain, recipe: Recipe) -> list[str]:
    from hetero.data.prepare import fingerprint

    photos = [fingerprint(config, recipe.preprocessing) for config in domain.photos.values()]
    return photos + [_content_of(path) for path in domain.files.values()]


def _search_stages(context: Context, data: RunStage, cloud: RunStage, texts: Sequence[RunStage]) -> list[RunStage]:
    """Return the stages that train a supernet and search; they are two, so that a new budget does not train again."""
    recipe, config = context.recipe, context.recipe.search
    learnt = texts if _texts_of(recipe, config.supernet) else []
    supernet = _stage(
        "supernet",
        "supernet",
        partial(_call_search, "supernet", context),
        [_plain(config.supernet), _plain(config.search_space), recipe.seed, *_texts_of(recipe, config.supernet)],
        [data, cloud, *learnt],
        scratch=CHECKPOINTS,
        trains=True,
        shared=True,
    )
    table = _content_of(config.latency)
    inputs = [config.reward, config.metric, _plain(config.algorithm), table, [_plain(tier) for tier in recipe.tiers]]
    search = _stage("search", "search", partial(_call_search, "search", context), inputs, [cloud, supernet])
    return [supernet, search]


def _searched_stage(
    context: Context,
    student: StudentConfig,
    data: RunStage,
    cloud: RunStage,
    texts: Sequence[RunStage],
    search: RunStage,
) -> RunStage:
    """Return the stage of a tier's student, which reads its architecture when the search is done."""
    learnt = texts if _texts_of(context.recipe, student) else []
    return _stage(
        f"student {student.name}",
        f"students/{student.name}",
        partial(_call, "searched_student", context, student.name),
        [_plain(student), context.recipe.seed, *_texts_of(context.recipe, student)],
        [data, cloud, *learnt, search],
        scratch=CHECKPOINTS,
        trains=True,
        shared=True,
    )


def _export_stage(context: Context, student: StudentConfig, after: Sequence[RunStage]) -> RunStage:
    return _stage(
        f"export {student.name}",
        f"bundles/{student.name}",
        partial(_call, "export", context, student),
        [_plain(context.recipe.export), _content_of(context.recipe.export.key), *_texts(context.recipe)],
        after,
        shared=context.recipe.export.tuning_steps > 0,
    )


def _asking_stage(context: Context, student: StudentConfig, targets: RunStage, exported: RunStage) -> RunStage:
    """Return the stage that runs a bundle on emulated targets: slow and untimed, it need not wait for other bundles."""
    return _stage(
        f"emulate {student.name}",
        f"emulation/{student.name}",
        partial(_call, "emulate", context, student),
        [context.recipe.verify.queries],
        [targets, exported],
    )


def _emulated(recipe: Recipe) -> list[str]:
    from device_tests.targets.registry import emulated

    return emulated(recipe.verify.targets)


def _stage(
    name: str,
    directory: str,
    produce: Any,
    inputs: Sequence[Any],
    after: Sequence[RunStage] = (),
    *,
    publish: tuple[str, ...] = (),
    scratch: tuple[str, ...] = (),
    trains: bool = False,
    shared: bool = False,
) -> RunStage:
    """Return a stage whose identity follows from its own inputs and the stages that it builds on."""
    identity = digest([name, hetero.__version__, *inputs, *(stage.identity for stage in after)])
    before = tuple(stage.directory for stage in after)
    return RunStage(name, directory, identity, produce, publish, scratch, before, trains, shared=shared)


def _call(function: str, context: Context, *rest: Any) -> None:
    # Late, so that a run with nothing to do never imports torch.
    from hetero.pipeline import produce

    *arguments, work = rest
    getattr(produce, function)(context, work, *arguments)


def _call_search(function: str, context: Context, work: Path) -> None:
    from hetero.pipeline import search as stage

    getattr(stage, function)(context, work)


def _images_identity(recipe: Recipe) -> str:
    from hetero.data.prepare import fingerprint

    return digest([fingerprint(recipe.data, recipe.preprocessing), _plain(recipe.data), recipe.preprocessing.digest])


def _cloud_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the cloud's settings without its texts: these are made for a space that is there already."""
    return {name: value for name, value in _plain(recipe.cloud).items() if name != "text"}


def _texts(recipe: Recipe) -> list[Any]:
    text = recipe.cloud.text
    return [] if text is None else [_plain(text), _content_of(text.vectors), _content_of(text.describes)]


def _texts_of(recipe: Recipe, model: StudentConfig | SupernetConfig) -> list[Any]:
    """Return the texts of a model that learns from them; others stay as they are when texts change."""
    learns = recipe.learns_from_texts(model.objectives) and not (isinstance(model, StudentConfig) and model.independent)
    return _texts(recipe) if learns else []


def _cloud_files(recipe: Recipe) -> list[str]:
    cloud = recipe.cloud
    files = [_content_of(path) for path in (cloud.embeddings, cloud.onnx, cloud.program) if path]
    if cloud.embeddings and Path(cloud.embeddings).is_dir():
        # Late: it takes pyarrow.
        from hetero.data.embeddings.shards import EmbeddingShards

        files = [EmbeddingShards(Path(cloud.embeddings)).identity]
    if cloud.directory:
        files.append(_content_of(str(Path(cloud.directory) / "config.json")))  # names the weights by their digest
    if cloud.backbone.startswith(BY_NAME):
        # Late: its library may be asked where its weights are.
        from hetero.models.published.network import network_files

        files += map(sha256_file, network_files(cloud.backbone, Path(cloud.weights) if cloud.weights else None))
    if cloud.module:
        # Late: code of its own is asked for its weights, and that takes torch.
        from hetero.pipeline.external_cloud import cloud_embedder

        files += [cloud_embedder(recipe).space.space_id, source_digest(cloud.module)]
    return files


def _content_of(path: str) -> str:
    return sha256_file(Path(path)) if Path(path).is_file() else "missing"


def _plain(config: Any) -> dict[str, Any]:
    return dataclasses.asdict(config)
