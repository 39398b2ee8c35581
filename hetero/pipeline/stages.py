"""The stages of a run, from images to a verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import hetero
from hetero.files import digest
from hetero.pipeline.context import Context
from hetero.pipeline.stage import Stage
from hetero.recipe import Recipe
from hetero.training.config import StudentConfig

CHECKPOINTS = ("checkpoint.safetensors", "best.safetensors")
NAMES = ("data", "cloud", "students", "evaluate", "export", "verify", "report")


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
    students = [(student, _student_stage(context, student, cloud, images)) for student in recipe.students]
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
        [*(stage.identity for stage in exports), _plain(recipe.verify)],
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
        *(("students", stage) for _, stage in students),
        ("evaluate", evaluate),
        *(("export", stage) for stage in exports),
        ("verify", verify),
        ("report", report),
    ]


def _student_stage(context: Context, student: StudentConfig, cloud: Stage, images: str) -> Stage:
    depends = [images, _plain(student), context.recipe.seed] + ([] if student.independent else [cloud.identity])
    return _stage(
        f"student {student.name}",
        f"students/{student.name}",
        depends,
        lambda work: _call("student", context, work, student),
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


def _images_identity(recipe: Recipe) -> str:
    from hetero.data.prepare import fingerprint

    return digest([fingerprint(recipe.data, recipe.preprocessing), _plain(recipe.data), recipe.preprocessing.digest])


def _cloud_files(recipe: Recipe) -> list[str]:
    from hetero.files import sha256_file

    given = [Path(path) for path in (recipe.cloud.embeddings, recipe.cloud.onnx) if path]
    return [sha256_file(path) if path.is_file() else "missing" for path in given]


def _plain(config: Any) -> dict[str, Any]:
    return dataclasses.asdict(config)
