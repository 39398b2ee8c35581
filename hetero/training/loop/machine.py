"""What a training asks of the machine that it runs on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from hetero.errors import InputError
from hetero.processes.launch import processes
from hetero.training.config import TrainingConfig

_COMPILERS = ("g++", "clang++")


def require_machine(config: TrainingConfig) -> None:
    """Refuse a training that this machine cannot do as configured, rather than do another.

    Raises:
        InputError: When float16 is configured and there is no GPU, or compiled steps and no compiler for them.
    """
    if problems := machine_problems({"training": config}):
        raise InputError("\n".join(problems))


def machine_problems(trainings: Mapping[str, TrainingConfig]) -> list[str]:
    """Return one line for each setting that this machine does not support; empty when it supports all.

    Args:
        trainings: Trainings by their place in the recipe.
    """
    halves = [place for place, training in trainings.items() if training.precision == "16-mixed"]
    compiled = [place for place, training in trainings.items() if training.compile]
    has_gpu = not (halves or compiled) or _has_gpu()
    problems: list[str] = []
    if not has_gpu:
        line = '{}.precision: "16-mixed" needs a GPU, and there is none here; set "bf16-mixed" or "32-true"'
        problems += [line.format(place) for place in halves]
    if not has_gpu and not any(map(shutil.which, (os.environ.get("CXX") or _COMPILERS[0], *_COMPILERS))):
        line = "{}.compile: needs a C++ compiler (g++ or clang++, or the one that CXX names), and there is none here"
        problems += [line.format(place) for place in compiled]
    if processes() > 1:
        line = (
            "{}.compile: compiled steps would not take batch norm's statistics over all {} processes; set compile = "
            "false, or start one process"
        )
        problems += [line.format(place, processes()) for place in compiled]
    return problems


def _has_gpu() -> bool:
    import torch

    return torch.accelerator.is_available()
