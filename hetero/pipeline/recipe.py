"""A recipe: one TOML file with all the settings of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from export.formats import FORMATS
from export.kinds.precision import Precision
from export.kinds.registry import FormatName
from hetero.constraints import Count, MinLen, Number, Seed, Share, Text
from hetero.data.config import DataConfig
from hetero.models.families import BY_NAME
from hetero.nas.config import SearchConfig, Tier
from hetero.objectives.catalog import compares_texts
from hetero.objectives.config import ObjectiveConfig
from hetero.preprocessing import Preprocessing
from hetero.schema import settings
from hetero.training.config import CloudConfig, StudentConfig


@settings
class ExportConfig:
    """The settings of the export.

    Attributes:
        formats: Names of :func:`export.kinds.registry.formats`.
        precisions: Precisions to export; each format makes those that it supports, see :mod:`export.precision.table`.
        goldens: Golden images in each bundle.
        queries: Most test images that the bundle carries to verify retrieval with.
        calibration: Approximate number of training and validation images to choose and measure reduced precisions with.
        goals: Largest share of asymmetric map@r that a precision may lose, where that is not the table's
            (:mod:`export.precision.table`), for instance ``{ int8 = 0.01 }``.
        tuning_steps: Steps of fine-tuning for int8 when quantising alone misses its goal; 0 for none.
        any_batch: True to make files take any number of images at once, in formats that can; ONNX can.
        licence: Licence of the models, repeated in each bundle.
        images: Origin of the test images that each bundle carries, and whether persons or users can be seen.
        key: An Ed25519 private key (PEM) that signs each bundle, as ``hetero bundle key`` makes; empty for none.
    """

    formats: Annotated[tuple[FormatName, ...], MinLen(1)] = FORMATS
    precisions: Annotated[tuple[Precision, ...], MinLen(1)] = ("fp32",)
    goldens: Count = 32
    queries: Count = 1500
    # At least one of the training and one of the validation images.
    calibration: Annotated[int, Ge(2)] = 600
    goals: dict[Precision, Share] = field(default_factory=dict[Precision, float])
    tuning_steps: Number = 0
    any_batch: bool = False
    licence: str = ""
    images: str = ""
    key: str = ""

    def rules(self) -> list[str]:
        """Return one problem for each goal of a precision that is not exported."""
        return [
            f"goals.{name}: {name} is not among the precisions" for name in self.goals if name not in self.precisions
        ]


@settings
class VerifyConfig:
    """The targets that bundles are verified on, and the goals that they must reach.

    Attributes:
        targets: Names of targets, for instance ``desktop`` and ``phone-arm64``.
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
    """All the settings of a run. See ``hetero/pipeline/recipes`` for examples.

    Attributes:
        name: Name of the recipe, also of its run's folder.
        preprocessing: Preprocessing of all models of the recipe; the cloud may have its own.
        data: The images.
        cloud: The model that defines the space.
        students: The models that live in it.
        export: Formats, precisions and contents of the bundles.
        verify: Targets and goals of the verification.
        tiers: Kinds of device, for each of which a student is searched.
        search: Settings by which these are searched and trained.
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
        """The preprocessing of a cloud model that the run trains, or that is an ONNX file."""
        return self.cloud.preprocessing or self.preprocessing

    @property
    def all_students(self) -> tuple[StudentConfig, ...]:
        """The students, and those of the tiers, whose architecture is known only after the search."""
        searched = (dataclasses.replace(self.search.student, name=tier.name) for tier in self.tiers)
        return (*self.students, *searched)

    def learns_from_texts(self, terms: Sequence[ObjectiveConfig]) -> bool:
        """Return True if a model with these objectives is trained with the texts of the cloud's space."""
        text = self.cloud.text
        return text is not None and (text.prototypes or compares_texts(terms))

    @property
    def models(self) -> tuple[StudentConfig, ...]:
        """The students, each followed by its adapted version, if any: a separate model, unless it is refused."""
        return tuple(
            model for student in self.all_students for model in (student, *([student.adapted] if student.adapt else []))
        )


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with its relative paths resolved from a folder."""

    def anchor(path: str) -> str:
        return str((folder / path).resolve()) if path else ""

    def anchor_name(name: str) -> str:
        """Resolve the directory that may take a published network's name."""
        prefix, _, place = name.partition(":")
        is_place = name.startswith(BY_NAME) and (folder / place).is_dir()
        return f"{prefix}:{(folder / place).resolve()}" if is_place else name

    given = recipe.cloud
    text = given.text and dataclasses.replace(
        given.text, vectors=anchor(given.text.vectors), describes=anchor(given.text.describes)
    )
    cloud = dataclasses.replace(
        given,
        backbone=anchor_name(given.backbone),
        weights=anchor(given.weights),
        embeddings=anchor(given.embeddings),
        onnx=anchor(given.onnx),
        program=anchor(given.program),
        directory=anchor(given.directory),
        text=text,
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
    export = dataclasses.replace(recipe.export, key=anchor(recipe.export.key))
    policy = recipe.verify.policy
    verify = dataclasses.replace(recipe.verify, policy=anchor(policy) if policy.endswith(".toml") else policy)
    return dataclasses.replace(
        recipe,
        data=recipe.data.anchored(folder),
        cloud=cloud,
        students=students,
        search=search,
        export=export,
        verify=verify,
    )
