"""The settings of a recipe that concern a supernet."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge

from hetero.constraints import Count, Number, Share
from hetero.objectives.config import Term
from hetero.schema import settings
from hetero.training.config import HeadConfig, StudentConfig, TrainingConfig

_STUDENT = StudentConfig("supernet")


@settings
class SupernetConfig:
    """The training of a supernet, and the images that its points are judged on.

    Attributes:
        sampling: ``uniform`` trains one random point a step (single path one-shot, arXiv 1904.00420, as CMP-NAS does);
            ``sandwich`` the largest, the smallest and ``random_paths`` random ones, their losses averaged (arXiv
            1903.05134).
        random_paths: Random points of each step of the sandwich rule.
        opening: Share of the steps over which the draw of random points widens to the whole space: see
            :class:`hetero.nas.supernet.paths.Paths`.
        calibration: Training images from which a candidate's batch-norm statistics are estimated.
        validation: Most validation images that a candidate is judged on; whole classes, drawn at random.
        distractors: Most training images of other classes among which the validation images are searched; each costs a
            candidate the time of one image.
        head: The same as a student's.
        objectives: The same as a student's.
        training: The same as a student's, but ``candidates_from`` is ignored: the weights of the last step are kept;
            its steps are a number, and they cannot be compiled.
    """

    sampling: Literal["uniform", "sandwich"] = "uniform"
    random_paths: Number = 2
    opening: Share = 0.7
    # Statistics of one image and one position have no variance.
    calibration: Annotated[int, Ge(2)] = 512
    validation: Count = 1500
    distractors: Number = 1000
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = _STUDENT.objectives
    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(steps=6000, optimizer="adamw"))

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        problems: list[str] = []
        if self.training.steps == "auto":
            problems.append("training.steps: expected a number, got 'auto': the space opens over a share of the steps")
        if self.training.compile:
            problems.append("training.compile: each step trains another network, which is not worth compiling")
        return problems
