"""Check that this machine can train a recipe's models, before anything runs."""

from __future__ import annotations

from hetero.errors import InputError
from hetero.pipeline.recipe import Recipe
from hetero.training.config import TrainingConfig
from hetero.training.loop.machine import machine_problems


def require_trainable(recipe: Recipe) -> None:
    """Refuse a recipe that this machine cannot train.

    Raises:
        InputError: With every obstacle, at once.
    """
    if problems := machine_problems(trainings_of(recipe)):
        raise InputError(f"this machine cannot train {recipe.name}:", problems)


def trainings_of(recipe: Recipe) -> dict[str, TrainingConfig]:
    """Return each model's training settings, by their place in the recipe."""
    trainings = {} if recipe.cloud.is_external else {"cloud.training": recipe.cloud.training}
    trainings |= {f"students.{student.name}.training": student.training for student in recipe.students}
    if recipe.tiers:
        trainings["search.supernet.training"] = recipe.search.supernet.training
        trainings["search.student.training"] = recipe.search.student.training
    return trainings
