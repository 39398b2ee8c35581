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
        calibration: Training images that a candidate's batch-norm statistics are estimated from.
        validation: Most validation images that a candidate is judged on; whole classes, drawn at random.
        head: As a student's.
        objectives: As a student's.
        training: As a student's, but by default the weights of the last step are kept: a supernet has no best one.
    """

    sampling: Literal["uniform", "sandwich"] = "uniform"
    random_paths: int = 2
    calibration: int = 512
    validation: int = 1500
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = _STUDENT.objectives
    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(steps=6000, candidates_from=1.0))
