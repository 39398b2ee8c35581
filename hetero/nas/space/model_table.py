"""An architecture as a table of a recipe."""

from __future__ import annotations

import dataclasses
import json

from hetero.models.config import ModelConfig, Stage


def model_table(config: ModelConfig) -> str:
    """Write ``[students.model]`` in TOML, without default values."""
    lines = ["[students.model]", *(f"{name} = {value}" for name, value in _changed(config).items())]
    stages = ",\n".join(f"    {{ {_inline(stage)} }}" for stage in config.stages)
    return "\n".join([*lines, f"stages = [\n{stages},\n]"]) + "\n"


def _inline(stage: Stage) -> str:
    return ", ".join(f"{name} = {value}" for name, value in _changed(stage).items())


def _changed(config: ModelConfig | Stage) -> dict[str, str]:
    defaults = {field.name: field.default for field in dataclasses.fields(config) if field.name != "stages"}
    values = {name: getattr(config, name) for name, default in defaults.items() if getattr(config, name) != default}
    # JSON writes numbers, words and truth values as TOML does.
    return {name: json.dumps(value) for name, value in values.items()}
