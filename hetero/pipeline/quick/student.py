"""The recipe of one student, from nothing but a cloud model and photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hetero.data.checking.check import config_for
from hetero.data.config import path_text
from hetero.errors import InputError
from hetero.mistakes import attempt
from hetero.nas.cost.budget import Budget
from hetero.objectives.config import ObjectiveConfig
from hetero.pipeline.draft import Draft, draft
from hetero.pipeline.quick.cloud_table import Takes, cloud_table
from hetero.pipeline.quick.text_options import TextOptions
from hetero.pipeline.quick.toml_text import toml_text
from hetero.recognition.kinds import PHOTOS, TABLE
from hetero.recognition.recognise import refuse_others
from hetero.training.config import StudentConfig

DEFAULT_SHARE = 0.05
"""Share of a cloud model's cost that a student may take, where nothing is said and that cost can be counted."""
DEFAULT_MACS = 5_000_000
"""Most multiply-accumulates of a student where it cannot."""
TUNING_STEPS = 200
"""Steps of fine-tuning where int8 misses a goal that was asked for."""


@dataclass(frozen=True)
class Wish:
    """What is asked of a student; everything else is a recipe's default.

    Attributes:
        name: Name of the student.
        macs: Most multiply-accumulates of an image: ``5M``, or ``cloud/20`` for a share; empty for the default.
        size: Height and width of its images in pixels.
        steps: Optimiser steps, or ``auto``.
        formats: Formats to export; empty for all.
        precisions: Precisions to export.
        int8_goal: Largest share of map@r that int8 may lose; None for the default, without fine-tuning for it.
        targets: Targets to verify on.
        policy: Policy of the verification; empty for none.
        key: Private key that signs the bundle; None for none.
        licence: Licence of the student.
        text: Vectors of texts in the cloud's space.
        text_affinity: Weight of the term ``text_affinity`` beside a student's default terms; 0 for none.
        seed: Fixes initial weights, batches and augmentation.
    """

    name: str = "edge"
    macs: str = ""
    size: int = 64
    steps: int | str = "auto"
    formats: Sequence[str] = ()
    precisions: Sequence[str] = ("fp32", "int8")
    int8_goal: float | None = None
    targets: Sequence[str] = ("desktop",)
    policy: str = ""
    key: Path | None = None
    licence: str = ""
    text: TextOptions = field(default_factory=TextOptions)
    text_affinity: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Quick:
    """A recipe that nobody wrote.

    Attributes:
        draft: The recipe, with every mistake in what it was made from.
        text: The same recipe as TOML.
    """

    draft: Draft
    text: str


def student_recipe(cloud: str, photos: Path, wish: Wish, takes: Takes) -> Quick:
    """Make the recipe of a student.

    Args:
        cloud: See :func:`hetero.pipeline.quick.cloud_table.cloud_table`.
        photos: A folder of photos or a CSV table.
        wish: What is asked of the student.
        takes: How the cloud model's images are prepared.

    Raises:
        InputError: With every mistake that leaves no recipe to check.
    """
    problems: list[str] = []
    table = attempt(problems, "CLOUD", lambda: cloud_table(cloud, takes))
    budget = attempt(problems, "--macs", lambda: _budget(wish.macs, table or {}))
    data = attempt(problems, "PHOTOS", lambda: _data(photos))
    text = attempt(problems, "--text", lambda: _text(wish))
    if table is None or budget is None or data is None or text is None:
        raise InputError("no student can be made of this:", problems)
    value = {
        "name": wish.name,
        "seed": wish.seed,
        "data": data,
        "preprocessing": {"height": wish.size, "width": wish.size},
        "cloud": table | text,
        "students": [
            {"name": wish.name, **budget, **_objectives(wish.text_affinity), "training": {"steps": wish.steps}}
        ],
        "export": _export(wish),
        "verify": {"targets": list(wish.targets), **({"policy": _policy(wish.policy)} if wish.policy else {})},
    }
    return Quick(draft(value, what=f"the recipe for {cloud} and {photos}"), toml_text(value))


def _data(photos: Path) -> dict[str, str]:
    refuse_others(photos, PHOTOS, TABLE)
    return {"kind": config_for(photos).kind, "path": path_text(photos)}


def _text(wish: Wish) -> dict[str, Any]:
    """Return the key of the cloud's table that names its texts."""
    config = wish.text.config
    if config is None:
        if wish.text_affinity:
            raise InputError("--text-affinity compares images with texts; expected their vectors as --text FILE, too")
        return {}
    if wish.text_affinity < 0:
        raise InputError(f"expected a weight of --text-affinity from 0, got {wish.text_affinity:g}")
    return {"text": {name: value for name, value in dataclasses.asdict(config).items() if value}}


def _objectives(text_affinity: float) -> dict[str, Any]:
    """Return the key of a student's table that names its objectives, where they are not the default."""
    if not text_affinity:
        return {}
    terms = (*StudentConfig(name="default").objectives, ObjectiveConfig("text_affinity", text_affinity))
    return {"objectives": [{"name": term.name, "weight": term.weight, **term.options} for term in terms]}


def _budget(macs: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a student's table that limit its cost."""
    if not macs:
        is_counted = not {"onnx", "program", "embeddings"} & table.keys()
        return {"max_macs_share": DEFAULT_SHARE} if is_counted else {"max_macs": DEFAULT_MACS}
    try:
        (limit,) = Budget.parse(f"macs <= {macs}").limits
    except (InputError, ValueError):
        raise InputError(f"expected a number such as 5M, or a share of the cloud's as cloud/20, got {macs!r}") from None
    return {"max_macs_share": limit.most} if limit.of_cloud else {"max_macs": max(1, int(limit.most))}


def _export(wish: Wish) -> dict[str, Any]:
    goal = {} if wish.int8_goal is None else {"goals": {"int8": wish.int8_goal}, "tuning_steps": TUNING_STEPS}
    stated = {
        "formats": list(wish.formats),
        "key": path_text(wish.key) if wish.key else "",
        "licence": wish.licence,
    }
    return {"precisions": list(wish.precisions), **goal, **{key: value for key, value in stated.items() if value}}


def _policy(policy: str) -> str:
    return path_text(Path(policy)) if policy.endswith(".toml") else policy
