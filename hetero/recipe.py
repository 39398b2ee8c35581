"""A recipe: one TOML file that says everything a run needs."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from hetero.constraints import Count, MinLen, Number, Seed, Share, Text
from hetero.data.config import DataConfig, path_text
from hetero.errors import InputError
from hetero.mistakes import Mistake
from hetero.preprocessing import Preprocessing
from hetero.schema import parse_rest, read_toml, settings
from hetero.search.config import SearchConfig, Tier
from hetero.training.config import CloudConfig, StudentConfig

Precision = Literal[
    "fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int8-uint8io", "palette8", "palette6", "palette4"
]


@settings
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

    formats: Annotated[tuple[Literal["onnx", "litert", "coreml"], ...], MinLen(1)] = ("onnx", "litert", "coreml")
    precisions: Annotated[tuple[Precision, ...], MinLen(1)] = ("fp32",)
    goldens: Count = 32
    queries: Count = 1500
    # At least one of the training and one of the validation images.
    calibration: Annotated[int, Ge(2)] = 600
    tuning_steps: Number = 0
    any_batch: bool = False
    licence: str = ""


@settings
class VerifyConfig:
    """Where bundles are verified, and what they must reach.

    Attributes:
        targets: For instance ``desktop`` and ``phone-arm64``.
        policy: ``release``, which comes with the package, or a TOML file; without one the student is not judged.
        largest_loss: Most cmc@1 that a target may lose against the student in torch; None leaves it to the policy.
        floor: Least cmc@1 against the cloud gallery; None leaves it to the policy.
        queries: Most query images that emulated targets embed, evenly spread: they are slow; None for all.
    """

    targets: Annotated[tuple[Text, ...], MinLen(1)] = ("desktop", "phone-arm64")
    policy: str = ""
    largest_loss: Share | None = None
    floor: Share | None = None
    # A retrieval task needs two queries.
    queries: Annotated[int, Ge(2)] | None = None


@settings
class Recipe:
    """Everything a run needs. See ``hetero/recipes`` for examples.

    Attributes:
        name: For people and files.
        preprocessing: Of all models of the recipe; the cloud may have its own.
        data: The images.
        cloud: The model that defines the space.
        students: The models that live in it.
        export: What is exported.
        verify: Where it is verified.
        tiers: Kinds of device, for each of which a student is searched.
        search: How these are searched and trained.
        seed: Fixes initial weights, batches and augmentation.
    """

    name: Text
    preprocessing: Preprocessing
    data: DataConfig
    students: tuple[StudentConfig, ...] = ()
    cloud: CloudConfig = field(default_factory=CloudConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    tiers: tuple[Tier, ...] = ()
    search: SearchConfig = field(default_factory=SearchConfig)
    seed: Seed = 0

    @property
    def cloud_preprocessing(self) -> Preprocessing:
        """How images of a cloud model are prepared that is trained here, or an ONNX file."""
        return self.cloud.preprocessing or self.preprocessing

    @property
    def all_students(self) -> tuple[StudentConfig, ...]:
        """The students and the tiers', whose architecture only a finished search knows."""
        searched = (dataclasses.replace(self.search.student, name=tier.name) for tier in self.tiers)
        return (*self.students, *searched)

    @property
    def models(self) -> tuple[StudentConfig, ...]:
        """The students, and after each what it is adapted to: a model of its own, unless it is refused."""
        return tuple(
            one for student in self.all_students for one in (student, *([student.adapted] if student.adapt else []))
        )


STAND_INS: dict[str, object] = {
    "name": "recipe",
    "preprocessing": {"height": 32, "width": 32},
    "data": {"kind": "emoji"},
}
"""Of the tables that a recipe must have, where they cannot be read, so that everything else is checked."""


@dataclass(frozen=True)
class Draft:
    """A recipe as far as it makes sense, and everything known to be wrong with it.

    Attributes:
        recipe: What is left without the mistakes.
        what: Names it in messages.
        mistakes: Keys that are wrong, missing or unknown; taken out of the recipe, or replaced by a stand-in.
        problems: One line for each mistake, and for each part that does not fit another.
    """

    recipe: Recipe
    what: str
    mistakes: tuple[Mistake, ...] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, recipe: Recipe) -> Draft:
        """A recipe made in Python."""
        from hetero.recipe_rules import recipe_problems

        return cls(recipe, f"the recipe {recipe.name}", problems=tuple(recipe_problems(recipe)))

    def doubts(self, *place: str | int) -> bool:
        """Whether a mistake lies in or around a place, so that what is said there is not known."""
        return any(all(a == b for a, b in zip(one.place, place, strict=False)) for one in self.mistakes)

    @property
    def knows_data(self) -> bool:
        """True if it is known where the data is."""
        return not any(self.doubts("data", name) for name in ("kind", "path", "root", "layout", "extra"))

    def require_sound(self, *further: str) -> Recipe:
        """The recipe.

        Raises:
            InputError: With every problem, and further ones, at once.
        """
        if problems := [*self.problems, *further]:
            raise InputError(f"{self.what} is not valid:", problems)
        return self.recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it count from the recipe's folder.

    Raises:
        InputError: With every mistake found, at once.
    """
    return _draft_of_file(path, {}).require_sound()


def recipe_called(name: Path, *, data: Path | None = None, seed: int | None = None) -> Recipe:
    """As :func:`draft_called`.

    Raises:
        InputError: With every mistake found, at once.
    """
    return draft_called(name, data=data, seed=seed).require_sound()


def draft_called(name: Path, *, data: Path | None = None, seed: int | None = None) -> Draft:
    """A recipe that comes with the package by its name, or a file, with what the command line says instead of it."""
    instead: dict[str, Any] = {"data": {"path": path_text(data)}} if data else {}
    if seed is not None:
        instead["seed"] = seed
    if name.suffix or not _built_in_file(str(name)).is_file():
        return _draft_of_file(name, instead)
    text = _built_in_file(str(name)).read_text(encoding="utf-8")
    return draft(overridden(tomllib.loads(text), instead), what=f"the built-in recipe {name}")


def built_in(name: str) -> Recipe:
    """A recipe that comes with the package, for instance ``demo``."""
    return draft_called(Path(name)).require_sound()


def parse_recipe(value: dict[str, Any], *, what: str) -> Recipe:
    """Check a parsed recipe: the types and keys, and what they mean together.

    Raises:
        InputError: With every mistake found, at once.
    """
    return draft(value, what=what).require_sound()


def draft(value: dict[str, Any], *, what: str, folder: Path | None = None) -> Draft:
    """Read a parsed recipe as far as it makes sense.

    Args:
        value: What the file held.
        what: Names it in messages.
        folder: Its paths count from here; None leaves them as they are.

    Raises:
        InputError: When nothing is left of it.
    """
    from hetero.recipe_rules import recipe_problems

    recipe, mistakes = parse_rest(Recipe, _with_student_named(value), instead=STAND_INS)
    if recipe is None:
        raise InputError(f"{what} is not valid:", [str(mistake) for mistake in mistakes])
    made = Draft(recipe if folder is None else anchored(recipe, folder), what, tuple(mistakes))
    return dataclasses.replace(made, problems=(*map(str, mistakes), *recipe_problems(recipe, doubts=made.doubts)))


def _draft_of_file(path: Path, instead: dict[str, Any]) -> Draft:
    value = overridden(read_toml(path, "a recipe"), instead)
    return draft(value, what=str(path), folder=path.parent)


def _built_in_file(name: str) -> Any:
    return resources.files("hetero.recipes").joinpath(f"{name}.toml")


def overridden(value: dict[str, Any], instead: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced."""
    merged = dict(value)
    for key, item in instead.items():
        own = value.get(key)
        merged[key] = {**own, **item} if isinstance(own, dict) and isinstance(item, dict) else item
    return merged


def _with_student_named(value: dict[str, Any]) -> dict[str, Any]:
    """The students that tiers are given are named after them: a recipe says no other name."""
    search = value.get("search")
    if not (isinstance(search, dict) and isinstance(search.get("student"), dict)):
        return value
    return {**value, "search": {**search, "student": {"name": "student", **search["student"]}}}


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its relative paths counted from a folder."""

    def anchor(path: str) -> str:
        return str((folder / path).resolve()) if path else ""

    cloud = dataclasses.replace(
        recipe.cloud, embeddings=anchor(recipe.cloud.embeddings), onnx=anchor(recipe.cloud.onnx)
    )
    students = tuple(
        dataclasses.replace(
            student, start=anchor(student.start), adapt=student.adapt and student.adapt.anchored(folder)
        )
        for student in recipe.students
    )
    space = recipe.search.space
    search = dataclasses.replace(
        recipe.search,
        space=anchor(space) if space.endswith(".toml") else space,
        latency=anchor(recipe.search.latency),
    )
    policy = recipe.verify.policy
    verify = dataclasses.replace(recipe.verify, policy=anchor(policy) if policy.endswith(".toml") else policy)
    return dataclasses.replace(
        recipe, data=recipe.data.anchored(folder), cloud=cloud, students=students, search=search, verify=verify
    )
