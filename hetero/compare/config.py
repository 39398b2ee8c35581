"""The settings of a comparison: one TOML file, beside the recipes."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Any

from hetero.adapters.registry import ADAPTERS
from hetero.compare.method import MethodConfig
from hetero.constraints import Seed, Text
from hetero.data.config import DataConfig
from hetero.errors import InputError
from hetero.metrics.choice import MetricName
from hetero.pipeline.recipe import Recipe, anchored
from hetero.pipeline.recipe_rules import recipe_problems
from hetero.preprocessing import Preprocessing
from hetero.schema import parse_rest, read_toml, settings
from hetero.training.config import CloudConfig, StudentConfig
from hetero.training.rules import STAND_INS

CLOUD = "cloud"


@settings
class Comparison:
    """Methods under one budget: the same data, cloud model, architecture, steps and seeds for each.

    Attributes:
        name: Name for people and files.
        preprocessing: Preprocessing of all models.
        data: The images.
        student: Architecture, budget and training of every method's student; the methods give its objectives.
        methods: The methods to compare.
        cloud: The model that defines the space; trained anew for each seed.
        seeds: Each decides initial weights, batches and augmentation, for the cloud too.
        metric: The figure by which choices are made and the table is sorted.
        baselines: Methods that the chosen one is compared with.
    """

    name: Text
    preprocessing: Preprocessing
    data: DataConfig
    student: StudentConfig
    methods: tuple[MethodConfig, ...]
    cloud: CloudConfig = field(default_factory=CloudConfig)
    seeds: tuple[Seed, ...] = (0, 1, 2)
    metric: MetricName = "map@r"
    baselines: tuple[str, ...] = ()

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        problems: list[str] = []
        if self.student.training.steps == "auto":
            problems.append(
                "student.training.steps: expected a number, got 'auto': methods are compared under one budget"
            )
        for key in ("adapt", "anchor_factors"):
            if getattr(self.student, key):
                problems.append(f"student.{key}: methods are compared by what they train; leave it out")
        return problems

    def recipe(self, seed: int) -> Recipe:
        """Return one seed's recipe: a student for each choice of each method that trains one."""
        external = self.cloud.is_external
        dimension = self.student.model.dimension if external else self.cloud.model.dimension
        model = dataclasses.replace(self.student.model, dimension=dimension)
        shared = dataclasses.replace(self.student, model=model)
        students = tuple(student for method in self.methods for student in method.students(shared))
        return Recipe(self.name, self.preprocessing, self.data, students, self.cloud, seed=seed)

    def only(self, names: Sequence[str]) -> Comparison:
        """Limit the comparison to some of its methods, and to the baselines among them.

        Raises:
            InputError: When a name is not a method's, an adapter comes without the method that it maps, or none of
                them needs the cloud.
        """
        methods = tuple(method for method in self.methods if method.name in names)
        own_names = [method.name for method in self.methods]
        unknown = [name for name in names if name not in own_names]
        problems = [f"{name!r} is not a method; expected some of {', '.join(own_names)}" for name in unknown]
        problems += [
            f"{method.name!r} maps the vectors of {method.of!r}: name that method, too"
            for method in methods
            if method.adapter and method.of not in names
        ]
        problems += [] if unknown else _choice_problems(methods)
        if problems:
            raise InputError("these methods cannot be compared:", problems)
        return dataclasses.replace(
            self, methods=methods, baselines=tuple(name for name in self.baselines if name in names)
        )

    def with_steps(self, steps: int) -> Comparison:
        """Return the comparison with another budget of optimiser steps for each student."""
        training = dataclasses.replace(self.student.training, steps=steps)
        return dataclasses.replace(self, student=dataclasses.replace(self.student, training=training))


def load_comparison(path: Path) -> Comparison:
    """Read a comparison; paths in it are relative to its folder.

    Raises:
        InputError: With every mistake found, at once.
    """
    value = read_toml(path, "a comparison")
    comparison = parse_comparison(value, what=str(path))
    recipe = anchored(comparison.recipe(0), path.parent)
    return dataclasses.replace(comparison, data=recipe.data, cloud=recipe.cloud)


def is_built_in(name: str) -> bool:
    """Return True if a comparison of this name comes with the package."""
    return name.isidentifier() and resources.files("hetero.compare.methods").joinpath(f"{name}.toml").is_file()


def built_in_comparison(name: str) -> Comparison:
    """Return a comparison that comes with the package, for instance ``emoji``."""
    text = resources.files("hetero.compare.methods").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_comparison(tomllib.loads(text), what=f"the built-in comparison {name}")


def parse_comparison(value: dict[str, Any], *, what: str) -> Comparison:
    """Check a parsed comparison.

    Raises:
        InputError: With every mistake found, at once.
    """
    student = value.get("student")
    if isinstance(student, dict):
        value = {**value, "student": {"name": "student", **student}}
    instead = {**STAND_INS, "student": {"name": "student"}, "methods": []}
    comparison, mistakes = parse_rest(Comparison, value, instead=instead)
    problems = [str(mistake) for mistake in mistakes]
    if comparison is not None:
        problems += _problems(comparison, methods_read=all(mistake.place[0] != "methods" for mistake in mistakes))
    if problems or comparison is None:
        raise InputError(f"{what} is not valid:", problems)
    return comparison


def _problems(comparison: Comparison, *, methods_read: bool) -> list[str]:
    trained = {method.name for method in comparison.methods if not method.adapter}
    problems = recipe_problems(comparison.recipe(0)) if trained else []
    if methods_read:
        problems += _choice_problems(comparison.methods) if trained else ["methods: expected at least one that trains"]
    names = [method.name for method in comparison.methods]
    problems += [f"name {name!r} is used by several methods" for name in sorted(set(names)) if names.count(name) > 1]
    for method in comparison.methods:
        problems += _method_problems(method, trained)
    problems += [
        f"baselines: {name!r} is not a method; expected some of {', '.join(names)}"
        for name in comparison.baselines
        if name not in names
    ]
    if not comparison.seeds or len(set(comparison.seeds)) != len(comparison.seeds):
        problems.append(f"seeds: expected different whole numbers, at least one, got {list(comparison.seeds)}")
    return problems


def _choice_problems(methods: Sequence[MethodConfig]) -> list[str]:
    if any(not method.independent for method in methods):
        return []
    return ["methods: expected at least one that is not independent, as the others are held against the best of those"]


def _method_problems(method: MethodConfig, trained: set[str]) -> list[str]:
    problems: list[str] = []
    if method.adapter and (method.objectives or method.variants or method.default or method.optimizer):
        problems.append("an adapter trains nothing: give no objectives, default or optimizer")
    if method.adapter and method.adapter not in ADAPTERS:
        problems.append(f"unknown adapter {method.adapter!r}; expected one of {', '.join(ADAPTERS)}")
    if method.adapter and method.of not in trained:
        problems.append(f"of = {method.of!r}: expected a method that trains, one of {', '.join(sorted(trained))}")
    if method.objectives and method.variants:
        problems.append("expected objectives or variants, not both")
    return [f"methods ({method.name}): {problem}" for problem in problems]
