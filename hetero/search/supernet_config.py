"""What a recipe says about a supernet."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from hetero.objectives.config import Term
from hetero.schema import record
from hetero.training.config import HeadConfig, StudentConfig, TrainingConfig

_STUDENT = StudentConfig("supernet")


@record
class SupernetConfig:
    """How a supernet is trained, and what its points are judged on.

    Attributes:
        sampling: ``uniform`` trains one random point a step (single path one-shot, arXiv 1904.00420, as CMP-NAS does);
            ``sandwich`` the largest, the smallest and ``random_paths`` random ones, their losses averaged (arXiv
            1903.05134).
        random_paths: Of each step of the sandwich rule.
        opening: Share of the steps over which random points come to be drawn from all of the space: see
            :class:`hetero.search.paths.Paths`.
        calibration: Training images that a candidate's batch-norm statistics are estimated from.
        validation: Most validation images that a candidate is judged on; whole classes, drawn at random.
        distractors: Most training images of other classes among which the validation images are searched; each costs a
            candidate the time of one image.
        head: As a student's.
        objectives: As a student's.
        training: As a student's, but ``candidates_from`` is not asked: the weights of the last step are kept.
    """

    sampling: Literal["uniform", "sandwich"] = "uniform"
    random_paths: int = 2
    opening: float = 0.7
    calibration: int = 512
    validation: int = 1500
    distractors: int = 1000
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = _STUDENT.objectives
    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(steps=6000))


def supernet_problems(config: SupernetConfig) -> list[str]:
    """What makes no sense in a supernet's numbers, apart from its training's and objectives'."""
    # Statistics of one image and one position have no variance.
    least = {"random_paths": 0, "calibration": 2, "validation": 1, "distractors": 0}
    share = [] if 0 <= config.opening <= 1 else [f"opening: expected a share of 0 to 1, got {config.opening}"]
    return share + [
        f"{name}: expected {low} or more, got {getattr(config, name)}"
        for name, low in least.items()
        if getattr(config, name) < low
    ]
