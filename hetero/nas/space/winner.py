"""The student for a point of a search space."""

from __future__ import annotations

import dataclasses

from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace
from hetero.training.config import StudentConfig


def as_student(space: SearchSpace, architecture: Architecture, student: StudentConfig) -> StudentConfig:
    """Return the student with a point's architecture, trained from scratch by its own objectives and schedule.

    Args:
        space: The search space of the point.
        architecture: The point.
        student: Gives everything but the architecture. Its budget is dropped, because it would change the width.

    Raises:
        InputError: When the architecture is not a point of the space.
    """
    model = space.config(architecture, dimension=student.model.dimension)
    return dataclasses.replace(student, model=model, max_macs=0, max_macs_share=0.0, max_parameters=0)
