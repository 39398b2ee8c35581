"""The settings of a recipe that concern a model upgrade."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Literal

from hetero.constraints import Seed, Text
from hetero.data.config import DataConfig, path_text
from hetero.errors import InputError
from hetero.objectives.catalog import problems_of
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.preprocessing import Preprocessing
from hetero.schema import overridden, parse_rest, read_toml, settings
from hetero.training.config import CloudConfig
from hetero.training.loop.machine import machine_problems
from hetero.training.rules import STAND_INS, cloud_problems
from hetero.upgrade.preflight import upgrade_preflight


@settings
class UpgradeConfig:
    """The constraint that keeps a new cloud model compatible with an old space.

    Attributes:
        old: The old model's directory, or a file of its embeddings.
        objectives: Terms that compare with the old model, added to the new model's own. The default is
            backward-compatible training: the old model's frozen head also classifies the new vectors (arXiv
            2003.11942).
        missing_classes: Replacement for a class that the old head lacks: the mean of the old model's vectors of it
            (``class_means``), or none, which leaves its images out of the old head's term (``skip``).
        live: Run the old model on each augmented batch instead of taking its cached vectors.
        control: Also train the new model without the constraint: measures the cost of compatibility (tax) and the
            share of a full re-embedding's gain that needs no re-embedding (update gain). Doubles the time.
    """

    old: str = ""
    objectives: tuple[Term, ...] = (ObjectiveConfig("cloud_head"),)
    missing_classes: Literal["class_means", "skip"] = "class_means"
    live: bool = False
    control: bool = False


@settings
class UpgradeRecipe:
    """The recipe of an upgrade.

    Attributes:
        name: Name for people and files.
        data: The images.
        preprocessing: Preprocessing of the new model, by which images are decoded for the old model too.
        cloud: The new model; its own objectives are those of an ordinary cloud model.
        upgrade: The constraint.
        seed: Fixes initial weights, batches and augmentation.
    """

    name: Text
    data: DataConfig
    preprocessing: Preprocessing
    cloud: CloudConfig = field(default_factory=CloudConfig)
    upgrade: UpgradeConfig = field(default_factory=UpgradeConfig)
    seed: Seed = 0


def load_upgrade_recipe(
    path: Path, *, data: Path | None = None, old: Path | None = None, seed: int | None = None
) -> UpgradeRecipe:
    """Read an upgrade recipe; paths in it are relative to the recipe's folder.

    Args:
        path: A TOML file.
        data: Replaces the path of the recipe's data.
        old: Replaces the recipe's old model.
        seed: Replaces the recipe's seed.

    Raises:
        InputError: With every mistake found, at once.
    """
    instead = {"data": {"path": data and path_text(data)}, "upgrade": {"old": old and str(old.resolve())}}
    options = {table: {key: text for key, text in keys.items() if text} for table, keys in instead.items()}
    value = overridden(read_toml(path, "an upgrade recipe"), {table: keys for table, keys in options.items() if keys})
    value = value if seed is None else {**value, "seed": seed}
    recipe, mistakes = parse_rest(UpgradeRecipe, value, instead=STAND_INS)
    problems = [str(mistake) for mistake in mistakes]
    if recipe is not None:
        recipe = _anchored(recipe, path.parent)
        doubtful = {mistake.place[0] for mistake in mistakes}
        problems += _problems(recipe, has_old="upgrade" not in doubtful)
        problems += upgrade_preflight(
            None if "data" in doubtful else recipe.data,
            recipe.upgrade.old,
            None if "cloud" in doubtful else recipe.cloud.model,
            None if "preprocessing" in doubtful else recipe.preprocessing,
            recipe.cloud.objectives + recipe.upgrade.objectives,
        )
    if problems or recipe is None:
        raise InputError(f"{path} is not valid:", problems)
    return recipe


def _anchored(recipe: UpgradeRecipe, folder: Path) -> UpgradeRecipe:
    old = recipe.upgrade.old
    upgrade = dataclasses.replace(recipe.upgrade, old=str((folder / old).resolve()) if old else "")
    return dataclasses.replace(recipe, data=recipe.data.anchored(folder), upgrade=upgrade)


def _problems(recipe: UpgradeRecipe, *, has_old: bool) -> list[str]:
    problems = cloud_problems(recipe.cloud) + machine_problems({"cloud.training": recipe.cloud.training})
    terms = recipe.cloud.objectives + recipe.upgrade.objectives
    problems += [f"cloud and upgrade objectives: {problem}" for problem in problems_of(terms, has_cloud=True)]
    if not recipe.upgrade.objectives:
        problems.append("upgrade.objectives: expected at least one term that looks at the old model, got none")
    if recipe.cloud.is_external:
        problems.append(f"cloud: an upgrade trains the new cloud model; remove {' and '.join(recipe.cloud.sources)}")
    if recipe.cloud.preprocessing:
        problems.append("cloud.preprocessing: an upgrade has the preprocessing of its new model; leave it out")
    if has_old and not recipe.upgrade.old:
        problems.append("upgrade.old: expected the old model's directory or a file of its embeddings; or give --old")
    return problems
