"""One term of a training objective, as written in recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from hetero.options import OptionValue
from hetero.schema import record


@record
class ObjectiveConfig:
    """One term of the training objective.

    Both in a recipe and in Python, the options stand beside name and weight:
    ``{ name = "csd", weight = 2.0, neighbours = 20 }`` and ``ObjectiveConfig("csd", 2.0, neighbours=20)``.

    Attributes:
        name: An entry of :data:`hetero.objectives.catalog.CATALOG`, ``pml:NAME`` or ``module:function``.
        weight: Multiplies the term.
        options: Options that differ from the objective's defaults.
    """

    name: str
    weight: float = 1.0
    options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)

    def __init__(
        self,
        name: str,
        weight: float = 1.0,
        options: Mapping[str, OptionValue] | None = None,
        **more: OptionValue,
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "options", {**(options or {}), **more})


class OptionsBesideName:
    """An annotation that lets files write an objective's options beside its name.

    It annotates the field rather than the class, because pydantic refers to a known class by its bare schema.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(_gathered, handler(source))


Term = Annotated[ObjectiveConfig, OptionsBesideName()]


def _gathered(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    own = {key: value[key] for key in ("name", "weight") if key in value}
    nested = value.get("options", {})
    if not isinstance(nested, dict):
        return {**own, "options": nested}
    more = {key: item for key, item in value.items() if key not in ("name", "weight", "options")}
    return {**own, "options": {**nested, **more}}
