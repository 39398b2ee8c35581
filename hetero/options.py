"""What an option of an objective or an adapter may be; torch-free, so that a recipe is checked without it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One option of something that is chosen by name; recipes write it beside the name.

    Attributes:
        default: Taken when nothing is said; its type is the option's type (an integer is a float, too).
        meaning: One line for people.
        least: Smallest value.
        above: The value must be larger than this.
        most: Largest value.
        choices: The values of a text.
        any_number: A whole number as default does not ask for whole numbers: for code whose types are not known.
    """

    default: OptionValue
    meaning: str
    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    any_number: bool = False

    @property
    def expects(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = {bool: "true or false", float: "a number", str: "a text"}.get(type(self.default))
        kind = kind or ("a number" if self.any_number else "a whole number")
        bounds = [
            f"above {self.above:g}" if math.isfinite(self.above) else "",
            f"of at least {self.least:g}" if math.isfinite(self.least) else "",
            f"at most {self.most:g}" if math.isfinite(self.most) else "",
        ]
        return " ".join([kind, " and ".join(bound for bound in bounds if bound)]).strip()

    def allows(self, value: object) -> bool:
        """Whether a recipe may give this value."""
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if isinstance(self.default, str):
            return isinstance(value, str) and (not self.choices or value in self.choices)
        whole = isinstance(self.default, int) and not self.any_number
        if not isinstance(value, int if whole else (int, float)):
            return False
        return math.isfinite(value) and value > self.above and self.least <= value <= self.most

    def converted(self, value: OptionValue) -> OptionValue:
        """The value in the option's own type."""
        unknown = self.any_number and isinstance(self.default, int)
        return value if unknown else type(self.default)(value)


def positive(default: float, meaning: str) -> Option:
    """A number above zero."""
    return Option(default, meaning, above=0.0)


def not_negative(default: float, meaning: str) -> Option:
    """A number of at least zero."""
    return Option(default, meaning, least=0.0)


def count(default: int, meaning: str, *, least: int = 1) -> Option:
    """A whole number."""
    return Option(default, meaning, least=float(least))


def choice(default: str, meaning: str, *others: str) -> Option:
    """One of several texts."""
    return Option(default, meaning, choices=(default, *others))


def option_problems(name: str, options: Mapping[str, Option], given: Mapping[str, OptionValue]) -> list[str]:
    """What is wrong with the values given for the options of ``name``, one line each."""
    problems: list[str] = []
    for key, value in given.items():
        option = options.get(key)
        if option is None:
            known = f"expected {', '.join(options)}" if options else "it has none"
            problems.append(f"{name}.{key}: unknown option; {known}")
        elif not option.allows(value):
            problems.append(f"{name}.{key}: expected {option.expects}, got {value!r}")
    return problems
