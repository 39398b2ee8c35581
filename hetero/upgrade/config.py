"""What a recipe says about a model upgrade."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Literal

from hetero.data.config import DataConfig, path_text
from hetero.errors import InputError
from hetero.objectives.catalog import problems_of
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.preprocessing import Preprocessing
from hetero.recipe import cloud_problems
from hetero.schema import parse, read_toml, record
from hetero.training.config import CloudConfig


@record
class UpgradeConfig:
    """How a new cloud model is kept compatible with an old space.

    Attributes:
        old: The old model's directory, or a file of its embeddings.
        objectives: Terms that look at the old model, added to the new model's own. The default is backward-compatible
            training: the old model's frozen head also judges the new vectors (arXiv 2003.11942).
        missing_classes: What stands for a class that the old head lacks: the mean of the old model's vectors of it
            (``class_means``), or nothing: its images are left out of the old head's judgement (``skip``).
        live: Run the old model on each augmented batch instead of taking its cached vectors.
        control: Also train the new model without the constraint: says what compatibility costs (tax) and what share of
            a full re-embedding's gain comes for free (update gain). Doubles the time.
    """

    old: str = ""
    objectives: tuple[Term, ...] = (ObjectiveConfig("cloud_head"),)
    missing_classes: Literal["class_means", "skip"] = "class_means"
    live: bool = False
    control: bool = False


@record
class UpgradeRecipe:
    """Everything that an upgrade needs.

    Attributes:
        name: For people and files.
        data: The images.
        preprocessing: Of the new model; images are decoded as it says, for the old model too.
        cloud: The new model; its own objectives are those of an ordinary cloud model.
        upgrade: The constraint.
        seed: Fixes initial weights, batches and augmentation.
    """

    name: str
    data: DataConfig
    preprocessing: Preprocessing
    cloud: CloudConfig = field(default_factory=CloudConfig)
    upgrade: UpgradeConfig = field(default_factory=UpgradeConfig)
    seed: int = 0


def load_upgrade_recipe(path: Path, *, data: Path | None = None, old: Path | None = None) -> UpgradeRecipe:
    """Read an upgrade recipe; paths in it count from the recipe's folder.

    Args:
        path: A TOML file.
        data: Replaces the path of the recipe's data.
        old: Replaces the recipe's old model.

    Raises:
        InputError: With every mistake found, at once.
    """
    value = read_toml(path, "an upgrade recipe")
    recipe = _with_paths(parse(UpgradeRecipe, value, what=str(path)), path.parent, data, old)
    if problems := _problems(recipe):
        raise InputError(f"{path} is not valid:", problems)
    return recipe


def _with_paths(recipe: UpgradeRecipe, folder: Path, data: Path | None, old: Path | None) -> UpgradeRecipe:
    def anchor(text: str) -> str:
        return str((folder / text).resolve()) if text else ""

    images = dataclasses.replace(
        recipe.data, path=path_text(data) if data else anchor(recipe.data.path), root=anchor(recipe.data.root)
    )
    upgrade = dataclasses.replace(recipe.upgrade, old=str(old.resolve()) if old else anchor(recipe.upgrade.old))
    return dataclasses.replace(recipe, data=images, upgrade=upgrade)


def _problems(recipe: UpgradeRecipe) -> list[str]:
    problems = cloud_problems(recipe.cloud)
    terms = recipe.cloud.objectives + recipe.upgrade.objectives
    problems += [f"cloud and upgrade objectives: {problem}" for problem in problems_of(terms, has_cloud=True)]
    if recipe.cloud.embeddings or recipe.cloud.onnx:
        problems.append("cloud: an upgrade trains the new cloud model; remove embeddings and onnx")
    if not recipe.upgrade.old:
        problems.append("upgrade.old: expected the old model's directory or a file of its embeddings; or give --old")
    if recipe.data.kind != "emoji" and not recipe.data.path:
        problems.append(f"data.path: expected the path of the {recipe.data.kind} data, got nothing")
    return problems
