"""A recipe: one TOML file that says everything a run needs."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from hetero.data.augment_config import AugmentConfig
from hetero.data.config import DataConfig
from hetero.errors import InputError
from hetero.objectives.catalog import problems_of
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.preprocessing import Preprocessing, grey_range_problems
from hetero.schema import parse, read_toml, record
from hetero.search.config import SearchConfig, Tier, search_problems
from hetero.training.config import CloudConfig, StudentConfig, TrainingConfig

Precision = Literal[
    "fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int8-uint8io", "palette8", "palette6", "palette4"
]


@record
class ExportConfig:
    """What is exported.

    Attributes:
        formats: Any of ``onnx``, ``litert``, ``coreml``.
        precisions: Each format makes those that it takes; see ``export/precisions.py`` for what they are.
        goldens: Golden images in each bundle.
        queries: Most test images that the bundle carries to verify retrieval with.
        calibration: About how many training and validation images reduced precisions are chosen and measured with.
        tuning_steps: Steps of fine-tuning for int8 when quantising alone misses its goal; 0 for none.
        any_batch: Whether ONNX files take any number of images at once.
        licence: Of the models, repeated in each bundle.
    """

    formats: tuple[Literal["onnx", "litert", "coreml"], ...] = ("onnx", "litert", "coreml")
    precisions: tuple[Precision, ...] = ("fp32",)
    goldens: int = 32
    queries: int = 1500
    calibration: int = 600
    tuning_steps: int = 0
    any_batch: bool = False
    licence: str = ""


@record
class VerifyConfig:
    """Where bundles are verified, and what they must reach.

    Attributes:
        targets: For instance ``desktop`` and ``phone-arm64``.
        policy: ``release``, which comes with the package, or a TOML file; without one the student is not judged.
        largest_loss: Most cmc@1 that a target may lose against the student in torch; None leaves it to the policy.
        floor: Least cmc@1 against the cloud gallery; None leaves it to the policy.
    """

    targets: tuple[str, ...] = ("desktop", "phone-arm64")
    policy: str = ""
    largest_loss: float | None = None
    floor: float | None = None


@record
class Recipe:
    """Everything a run needs. See ``hetero/recipes`` for examples.

    Attributes:
        name: For people and files.
        preprocessing: One for all models of the recipe.
        data: The images.
        cloud: The model that defines the space.
        students: The models that live in it.
        export: What is exported.
        verify: Where it is verified.
        tiers: Kinds of device, for each of which a student is searched.
        search: How these are searched and trained.
        seed: Fixes initial weights, batches and augmentation.
    """

    name: str
    preprocessing: Preprocessing
    data: DataConfig
    students: tuple[StudentConfig, ...] = ()
    cloud: CloudConfig = field(default_factory=CloudConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    tiers: tuple[Tier, ...] = ()
    search: SearchConfig = field(default_factory=SearchConfig)
    seed: int = 0

    @property
    def all_students(self) -> tuple[StudentConfig, ...]:
        """The students and the tiers', whose architecture only a finished search knows."""
        searched = (dataclasses.replace(self.search.student, name=tier.name) for tier in self.tiers)
        return (*self.students, *searched)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it count from the recipe's folder.

    Raises:
        InputError: With every mistake found, at once.
    """
    value = read_toml(path, "a recipe")
    return anchored(parse_recipe(value, what=str(path)), path.parent)


def recipe_called(name: Path) -> Recipe:
    """A recipe that comes with the package by its name, or a file."""
    known = resources.files("hetero.recipes").joinpath(f"{name}.toml").is_file()
    return built_in(str(name)) if known and not name.suffix else load_recipe(name)


def built_in(name: str) -> Recipe:
    """A recipe that comes with the package, for instance ``demo``."""
    text = resources.files("hetero.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_recipe(tomllib.loads(text), what=f"the built-in recipe {name}")


def parse_recipe(value: dict[str, Any], *, what: str) -> Recipe:
    """Check a parsed recipe: the types and keys first, then what they mean together.

    Raises:
        InputError: With every mistake found, at once.
    """
    value = _with_student_named(value)
    try:
        recipe = parse(Recipe, value, what=what)
    except InputError as error:
        raise InputError(f"{what} is not valid:", [*error.problems, *_value_problems_of(value)]) from None
    if problems := recipe_problems(recipe):
        raise InputError(f"{what} is not valid:", problems)
    return recipe


def _with_student_named(value: dict[str, Any]) -> dict[str, Any]:
    """The students that tiers are given are named after them: a recipe says no other name."""
    search = value.get("search")
    if not (isinstance(search, dict) and isinstance(search.get("student"), dict)):
        return value
    return {**value, "search": {**search, "student": {"name": "student", **search["student"]}}}


def recipe_problems(recipe: Recipe) -> list[str]:
    """What is wrong with a recipe beyond its types: every mistake."""
    problems = cloud_problems(recipe.cloud)
    names = [recipe.cloud.name, *(student.name for student in recipe.all_students)]
    if not recipe.all_students:
        problems.append("students: expected at least one [[students]] or [[tiers]] table")
    problems += [
        f"name {name!r} is used by {names.count(name)} models" for name in sorted(set(names)) if names.count(name) > 1
    ]
    for name in names:
        if not name or not all(character.isalnum() or character in "-_." for character in name) or name.startswith("."):
            problems.append(f"name {name!r}: expected letters, digits, '-', '_' and '.'; it becomes a file's name")
    for index, student in enumerate(recipe.students):
        place = f"students.{index} ({student.name})"
        problems += _training_problems(f"{place}.training", student.training)
        problems += _objective_problems(place, student.objectives, has_cloud=not student.independent)
    problems += _objective_problems("cloud", recipe.cloud.objectives, has_cloud=False)
    problems += [f"preprocessing.{problem}" for problem in grey_range_problems(recipe.preprocessing.grey_range)]
    problems += _search_problems(recipe)
    if recipe.data.kind != "emoji" and not recipe.data.path:
        problems.append(f"data.path: expected the path of the {recipe.data.kind} data, got nothing")
    return problems


def _search_problems(recipe: Recipe) -> list[str]:
    config = recipe.search
    problems = search_problems(config, recipe.tiers)
    for place, model in (("search.supernet", config.supernet), ("search.student", config.student)):
        problems += _training_problems(f"{place}.training", model.training)
        problems += _objective_problems(place, model.objectives, has_cloud=True)
    if config.student.independent:
        problems.append("search.student: expected a student that lives in the cloud's space, got independent = true")
    return problems


def cloud_problems(cloud: CloudConfig) -> list[str]:
    """What makes no sense in a cloud model's numbers."""
    problems = _training_problems("cloud.training", cloud.training)
    problems += _augment_problems("cloud.copies_augment", cloud.copies_augment)
    return problems + ([f"cloud.copies: expected 0 or more, got {cloud.copies}"] if cloud.copies < 0 else [])


def _objective_problems(place: str, terms: Sequence[ObjectiveConfig], *, has_cloud: bool) -> list[str]:
    return [f"{place}.objectives: {problem}" for problem in problems_of(terms, has_cloud=has_cloud)]


def _training_problems(place: str, training: TrainingConfig) -> list[str]:
    positive = ("steps", "classes_per_batch", "images_per_class", "learning_rate", "validate_every", "checkpoint_every")
    return (
        [
            f"{place}.{name}: expected a number above 0, got {getattr(training, name)}"
            for name in positive
            if getattr(training, name) <= 0
        ]
        + _share_problems(place, training)
        + _augment_problems(f"{place}.augment", training.augment)
    )


def _share_problems(place: str, training: TrainingConfig) -> list[str]:
    return [
        f"{place}.{name}: expected a share between 0 and 1, got {getattr(training, name)}"
        for name in ("warmup", "candidates_from")
        if not 0 <= getattr(training, name) <= 1
    ]


def _augment_problems(place: str, augment: AugmentConfig) -> list[str]:
    try:
        augment.require_valid()
    except InputError as error:
        return [f"{place}.{problem}" for problem in error.problems]
    return []


def _value_problems_of(value: dict[str, Any]) -> list[str]:
    """What can be said about meaning although the types are wrong somewhere: the objectives."""
    problems = _raw_objective_problems("cloud", value.get("cloud"))
    students = value.get("students")
    if not students and not value.get("tiers"):
        problems.append("students: missing; expected at least one [[students]] or [[tiers]] table")
    for index, student in enumerate(students if isinstance(students, list) else []):
        problems += _raw_objective_problems(f"students.{index}", student)
    return problems


@record
class _Terms:
    terms: tuple[Term, ...]


def _raw_objective_problems(place: str, model: object) -> list[str]:
    tables = model.get("objectives") if isinstance(model, dict) else None
    if not isinstance(tables, list):
        return []
    try:
        terms = parse(_Terms, {"terms": tables}, what=place).terms
    except InputError:
        return []
    return _objective_problems(place, terms, has_cloud=place != "cloud")


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its relative paths counted from a folder."""

    def anchor(path: str) -> str:
        return str((folder / path).resolve()) if path else ""

    data = dataclasses.replace(recipe.data, path=anchor(recipe.data.path), root=anchor(recipe.data.root))
    cloud = dataclasses.replace(
        recipe.cloud, embeddings=anchor(recipe.cloud.embeddings), onnx=anchor(recipe.cloud.onnx)
    )
    space = recipe.search.space
    search = dataclasses.replace(
        recipe.search,
        space=anchor(space) if space.endswith(".toml") else space,
        latency=anchor(recipe.search.latency),
    )
    policy = recipe.verify.policy
    verify = dataclasses.replace(recipe.verify, policy=anchor(policy) if policy.endswith(".toml") else policy)
    return dataclasses.replace(recipe, data=data, cloud=cloud, search=search, verify=verify)
