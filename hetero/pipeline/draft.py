"""Recipes read as far as they make sense, with every mistake that was found."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hetero.data.config import path_text
from hetero.errors import InputError
from hetero.mistakes import Mistake
from hetero.pipeline.recipe import Recipe, anchored
from hetero.pipeline.recipe_rules import recipe_problems
from hetero.schema import overridden, parse_rest, read_toml
from hetero.training.rules import STAND_INS


@dataclass(frozen=True)
class Draft:
    """A recipe as far as it makes sense, and every mistake that was found.

    Attributes:
        recipe: The recipe without the mistakes.
        what: Name of the recipe in messages.
        mistakes: Keys that are wrong, missing or unknown; taken out of the recipe, or replaced by a stand-in.
        problems: One line for each mistake, and for each part that does not fit another.
    """

    recipe: Recipe
    what: str
    mistakes: tuple[Mistake, ...] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, recipe: Recipe) -> Draft:
        """Return the draft of a recipe made in Python."""
        return cls(recipe, f"the recipe {recipe.name}", problems=tuple(recipe_problems(recipe)))

    def doubts(self, *place: str | int) -> bool:
        """Return True if a mistake lies in or around a place, so that its value is not known."""
        return any(all(a == b for a, b in zip(mistake.place, place, strict=False)) for mistake in self.mistakes)

    @property
    def knows_data(self) -> bool:
        """True if the location of the data is known."""
        return not any(self.doubts("data", name) for name in ("kind", "path", "root", "layout", "extra"))

    def require_sound(self, *further: str) -> Recipe:
        """Return the recipe if it has no problem.

        Raises:
            InputError: With every problem, and the further ones, at once.
        """
        if problems := [*self.problems, *further]:
            raise InputError(f"{self.what} is not valid:", problems)
        return self.recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its paths are relative to the recipe's folder.

    Raises:
        InputError: With every mistake found, at once.
    """
    return _draft_of_file(path, {}).require_sound()


def recipe_called(name: Path, *, data: Path | None = None, seed: int | None = None) -> Recipe:
    """Read a recipe as :func:`draft_called` does, and return it if it has no problem.

    Raises:
        InputError: With every mistake found, at once.
    """
    return draft_called(name, data=data, seed=seed).require_sound()


def draft_called(name: Path, *, data: Path | None = None, seed: int | None = None) -> Draft:
    """Read a recipe, built in or from a file, and replace the values that the command line overrides."""
    overrides: dict[str, Any] = {"data": {"path": path_text(data)}} if data else {}
    if seed is not None:
        overrides["seed"] = seed
    if name.suffix or not _built_in_file(str(name)).is_file():
        return _draft_of_file(name, overrides)
    text = _built_in_file(str(name)).read_text(encoding="utf-8")
    return draft(overridden(tomllib.loads(text), overrides), what=f"the built-in recipe {name}")


def built_in(name: str) -> Recipe:
    """Return a recipe that comes with the package, for instance ``demo``."""
    return draft_called(Path(name)).require_sound()


def parse_recipe(value: dict[str, Any], *, what: str) -> Recipe:
    """Check a parsed recipe: its types and keys, and the rules between them.

    Raises:
        InputError: With every mistake found, at once.
    """
    return draft(value, what=what).require_sound()


def draft(value: dict[str, Any], *, what: str, folder: Path | None = None) -> Draft:
    """Read a parsed recipe as far as it makes sense.

    Args:
        value: Content of the file.
        what: Name of the recipe in messages.
        folder: The recipe's paths are relative to it; None leaves them as they are.

    Raises:
        InputError: When no part of it makes sense.
    """
    recipe, mistakes = parse_rest(Recipe, _with_student_named(_with_cloud_named(value)), instead=STAND_INS)
    if recipe is None:
        raise InputError(f"{what} is not valid:", [str(mistake) for mistake in mistakes])
    result = Draft(recipe if folder is None else anchored(recipe, folder), what, tuple(mistakes))
    return dataclasses.replace(result, problems=(*map(str, mistakes), *recipe_problems(recipe, doubts=result.doubts)))


def _draft_of_file(path: Path, overrides: dict[str, Any]) -> Draft:
    value = overridden(read_toml(path, "a recipe"), overrides)
    return draft(value, what=str(path), folder=path.parent)


def _built_in_file(name: str) -> Any:
    return resources.files("hetero.pipeline.recipes").joinpath(f"{name}.toml")


def _with_cloud_named(value: dict[str, Any]) -> dict[str, Any]:
    """Take a text as the cloud's model for the name of a published network; a table is its architecture."""
    cloud = value.get("cloud")
    if not (isinstance(cloud, dict) and isinstance(cloud.get("model"), str)) or "backbone" in cloud:
        return value
    return {
        **value,
        "cloud": {**{key: item for key, item in cloud.items() if key != "model"}, "backbone": cloud["model"]},
    }


def _with_student_named(value: dict[str, Any]) -> dict[str, Any]:
    """Name the search's student, which a recipe leaves nameless: each tier's student is named after the tier."""
    search = value.get("search")
    if not (isinstance(search, dict) and isinstance(search.get("student"), dict)):
        return value
    return {**value, "search": {**search, "student": {"name": "student", **search["student"]}}}
