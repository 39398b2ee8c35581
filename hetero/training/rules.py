"""Rules between the parts of a cloud model's or a student's table, whatever recipe it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from hetero.metrics.registry import choices_in_words
from hetero.models.families import BY_NAME, TIMM
from hetero.objectives.catalog import problems_of, takes_mixtures
from hetero.objectives.config import ObjectiveConfig
from hetero.training.config import COMPARES_WITH_CLOUD, CloudConfig, TrainingConfig

STAND_INS: dict[str, object] = {
    "name": "recipe",
    "preprocessing": {"height": 32, "width": 32},
    "data": {"kind": "emoji"},
}
"""Stand-ins for tables that a recipe must have and that cannot be read, so that everything else is checked."""

TRAINED_HERE = CloudConfig()


def cloud_problems(cloud: CloudConfig) -> list[str]:
    """Return the problems of a cloud model's table, apart from the objectives that compare with an old model."""
    problems = objective_problems("cloud", cloud.objectives, has_cloud=False)
    problems += mixup_problems("cloud", cloud.training, cloud.objectives, has_cloud=False)
    problems += judging_problems("cloud", cloud.training)
    if len(cloud.sources) > 1:
        problems.append(
            f"cloud: expected one of {', '.join(cloud.sources)}, got all of them; name the one that defines the space"
        )
    if cloud.is_counted:
        problems += [
            f"cloud.{name}: is counted, unless the cloud model is a file (embeddings, onnx, program); leave it out"
            for name in ("macs", "parameters")
            if getattr(cloud, name)
        ]
    if cloud.is_external:
        problems += [
            f"cloud.{name}: belongs to a cloud model that is trained here, and {' and '.join(cloud.sources)} gives one "
            "that is not; leave one of them out"
            for name in ("model", "head", "objectives", "training")
            if getattr(cloud, name) != getattr(TRAINED_HERE, name)
        ]
    if cloud.embeddings and cloud.preprocessing:
        problems.append("cloud.preprocessing: a file of embeddings needs no images; leave it out")
    if cloud.weights and not cloud.backbone.startswith(BY_NAME):
        problems.append(f'cloud.weights: belongs to a published network by name (model = "{TIMM}NAME"); leave it out')
    if cloud.directory and cloud.preprocessing:
        problems.append("cloud.preprocessing: a model directory says itself how its images are prepared; leave it out")
    return problems


def judging_problems(place: str, training: TrainingConfig) -> list[str]:
    """Return the problem with the figure that judges a model with its own space, if there is one."""
    if training.judged_by not in COMPARES_WITH_CLOUD:
        return []
    return [
        f"{place}.training.judged_by: {training.judged_by} compares with the cloud's vectors, and this model has a "
        f"space of its own; expected {choices_in_words('auto')}"
    ]


def mixup_problems(
    place: str, training: TrainingConfig, terms: Sequence[ObjectiveConfig], *, has_cloud: bool
) -> list[str]:
    """Return the problem with mixing images where an objective could not judge the mixtures, if there is one."""
    if not training.mixup or (has_cloud and takes_mixtures(terms)):
        return []
    return [
        f"{place}.training.mixup: a mixed image has the cloud's mixed vector and no class; leave out objectives that "
        "compare by class, or mixup"
    ]


def crop_problems(place: str, training: TrainingConfig, *, copies: int) -> list[str]:
    """Return the problem with crops of originals where a model is shown changed copies, which have none, if any."""
    changes = training.augment
    if not copies or changes is None or not changes.crops or changes.crop_from != "original":
        return []
    return [
        f"{place}.training.augment.crop_from: the changed copies (cloud.copies = {copies}) have no originals; set it "
        "to 'prepared', crop the copies instead (cloud.copies_augment), or make none"
    ]


def objective_problems(
    place: str, terms: Sequence[ObjectiveConfig], *, has_cloud: bool, has_texts: bool = False
) -> list[str]:
    """Return the problems of the objectives that a recipe gives a model."""
    problems = problems_of(terms, has_cloud=has_cloud, has_texts=has_texts)
    return [f"{place}.objectives: {problem}" for problem in problems]
