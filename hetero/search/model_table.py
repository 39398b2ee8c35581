"""An architecture as the table that a recipe has for it."""

from __future__ import annotations

import dataclasses
import json

from hetero.models.config import ModelConfig, Stage


def model_table(config: ModelConfig) -> str:
    """``[students.model]`` in TOML, without what is the default."""
    lines = ["[students.model]", *(f"{name} = {value}" for name, value in _changed(config, ModelConfig()).items())]
    stages = ",\n".join(f"    {{ {_inline(stage)} }}" for stage in config.stages)
    return "\n".join([*lines, f"stages = [\n{stages},\n]"]) + "\n"


def _inline(stage: Stage) -> str:
    default = Stage(channels=0)
    return ", ".join(f"{name} = {value}" for name, value in _changed(stage, default).items())


def _changed(config: ModelConfig | Stage, default: ModelConfig | Stage) -> dict[str, str]:
    names = [one.name for one in dataclasses.fields(config) if one.name != "stages"]
    values = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(default, name)}
    # JSON writes numbers, words and truth values as TOML does.
    return {name: json.dumps(value) for name, value in values.items()}
