"""The stages of a run, from images to a verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import hetero
from hetero.files import digest, sha256_file
from hetero.pipeline.context import Context
from hetero.pipeline.stage import Stage
from hetero.recipe import Recipe
from hetero.training.config import StudentConfig

CHECKPOINTS = ("checkpoint.safetensors", "best.safetensors", "copies.f16")
NAMES = ("data", "cloud", "search", "students", "evaluate", "export", "verify", "report")


def stages_of(context: Context) -> list[tuple[str, Stage]]:
    """Every stage of a recipe with the name of its group (one of :data:`NAMES`), in order.

    Each identity holds the identities that it builds on, so a change anywhere reaches all that follows.
    """
    recipe = context.recipe
    images = _images_identity(recipe)
    data = _stage("data", "data", [images], lambda work: _call("data", context, work))
    cloud = _stage(
        "cloud",
        "cloud",
        [images, _plain(recipe.cloud), _cloud_files(recipe), recipe.seed],
        lambda work: _call("cloud", context, work),
        scratch=CHECKPOINTS,
    )
    searching = _search_stages(context, cloud, images) if recipe.tiers else []
    students = [(student, _student_stage(context, student, cloud, images)) for student in recipe.students]
    students += [
        (student, _searched_stage(context, student, cloud, searching[-1], images))
        for student in recipe.all_students[len(recipe.students) :]
    ]
    evaluate = _stage(
        "evaluate",
        "evaluation",
        [cloud.identity, *(stage.identity for _, stage in students)],
        lambda work: _call("evaluate", context, work),
        publish=("matrix.json",),
    )
    exports = [_export_stage(context, student, trained) for student, trained in students if not student.independent]
    verify = _stage(
        "verify",
        "verification",
        [*(stage.identity for stage in exports), _plain(recipe.verify), _content_of(recipe.verify.policy)],
        lambda work: _call("verify", context, work),
        publish=("verdict.json",),
    )
    report = _stage(
        "report",
        "report",
        [evaluate.identity, verify.identity],
        lambda work: _call("report", context, work),
        publish=("report.html",),
    )
    return [
        ("data", data),
        ("cloud", cloud),
        *(("search", stage) for stage in searching),
        *(("students", stage) for _, stage in students),
        ("evaluate", evaluate),
        *(("export", stage) for stage in exports),
        ("verify", verify),
        ("report", report),
    ]


def _student_stage(context: Context, student: StudentConfig, cloud: Stage, images: str) -> Stage:
    depends = [images, _plain(student), context.recipe.seed] + ([] if student.independent else [cloud.identity])
    if student.start:
        depends.append(_content_of(str(Path(student.start) / "config.json")))
    return _stage(
        f"student {student.name}",
        f"students/{student.name}",
        depends,
        lambda work: _call("student", context, work, student),
        scratch=CHECKPOINTS,
    )


def _search_stages(context: Context, cloud: Stage, images: str) -> list[Stage]:
    """Train a supernet, and search: two stages, so that another budget does not train it again."""
    recipe, config = context.recipe, context.recipe.search
    trained_from = [images, _plain(config.supernet), _plain(config.search_space), recipe.seed, cloud.identity]
    supernet = _stage(
        "supernet", "supernet", trained_from, lambda work: _call_search("supernet", context, work), scratch=CHECKPOINTS
    )
    table = _content_of(config.latency)
    asked = [config.reward, config.metric, _plain(config.algorithm), table, [_plain(tier) for tier in recipe.tiers]]
    search = _stage("search", "search", [supernet.identity, *asked], lambda work: _call_search("search", context, work))
    return [supernet, search]


def _searched_stage(context: Context, student: StudentConfig, cloud: Stage, search: Stage, images: str) -> Stage:
    """A tier's student; its architecture is read when the search is done."""
    depends = [images, _plain(student), context.recipe.seed, cloud.identity, search.identity]
    return _stage(
        f"student {student.name}",
        f"students/{student.name}",
        depends,
        lambda work: _call("searched_student", context, work, student.name),
        scratch=CHECKPOINTS,
    )


def _export_stage(context: Context, student: StudentConfig, trained: Stage) -> Stage:
    depends = [trained.identity, _plain(context.recipe.export)]
    return _stage(
        f"export {student.name}",
        f"bundles/{student.name}",
        depends,
        lambda work: _call("export", context, work, student),
    )


def _stage(
    name: str,
    directory: str,
    depends: list[Any],
    produce: Any,
    publish: tuple[str, ...] = (),
    scratch: tuple[str, ...] = (),
) -> Stage:
    return Stage(name, directory, digest([name, hetero.__version__, *depends]), produce, publish, scratch)


def _call(function: str, context: Context, work: Path, *rest: Any) -> None:
    # Late, so that a run with nothing to do never imports torch.
    from hetero.pipeline import produce

    getattr(produce, function)(context, work, *rest)


def _call_search(function: str, context: Context, work: Path) -> None:
    from hetero.search import stage

    getattr(stage, function)(context, work)


def _images_identity(recipe: Recipe) -> str:
    from hetero.data.prepare import fingerprint

    return digest([fingerprint(recipe.data, recipe.preprocessing), _plain(recipe.data), recipe.preprocessing.digest])


def _cloud_files(recipe: Recipe) -> list[str]:
    return [_content_of(path) for path in (recipe.cloud.embeddings, recipe.cloud.onnx) if path]


def _content_of(path: str) -> str:
    return sha256_file(Path(path)) if Path(path).is_file() else "missing"


def _plain(config: Any) -> dict[str, Any]:
    return dataclasses.asdict(config)
