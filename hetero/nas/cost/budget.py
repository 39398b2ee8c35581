"""The budget of a device, as one line: ``macs <= 20M and size_mb <= 1 and partitions.nnapi <= 1``.

Limits are joined by ``and``. Each names a quantity, ``<=`` and a number, which may end in ``k``, ``M`` or ``G``; a
share of the cloud model's multiply-accumulates or parameters is ``cloud/40`` or ``0.05*cloud``.

==========================  ============================================================================
``macs``                    multiply-accumulates of one image
``parameters``              weights
``size_mb``                 float32 weights as they are stored, in 10^6 bytes; the graph adds a few kilobytes
``latency_ms.RUNTIME``      time of one image on the target that the latency table was measured on
``instructions.RUNTIME``    instructions of one image, where they were counted on an emulated target
``partitions.ACCELERATOR``  pieces into which a phone's accelerator divides the exported graph
==========================  ============================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hetero.errors import InputError

COUNTED = ("macs", "parameters", "size_mb")
OF_CLOUD = ("macs", "parameters")
MEASURED = ("latency_ms", "instructions")
"""Quantities looked up in a latency table, for the runtime named after a dot."""
DIVIDED = "partitions"
"""The quantity found by exporting layers, for the accelerator named after a dot."""

_SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_LIMIT = re.compile(r"(?P<quantity>[A-Za-z_][\w.-]*)\s*(?P<sign><=|>=|<|>|==|=)?\s*(?P<value>.*)", re.DOTALL)
_VALUE = re.compile(
    rf"(?P<number>{_NUMBER})(?P<suffix>[kMG]?)"
    rf"|cloud\s*/\s*(?P<divisor>{_NUMBER})"
    rf"|(?P<share>{_NUMBER})\s*\*\s*cloud"
)


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        quantity: Name of the limited quantity.
        most: The largest value allowed; a multiple of the cloud's when ``of_cloud``.
        of_cloud: True if the limit is a share of the cloud model's value.
    """

    quantity: str
    most: float
    of_cloud: bool = False

    def __str__(self) -> str:
        """Return the limit as :meth:`Budget.parse` reads it."""
        return f"{self.quantity} <= {f'{self.most!r}*cloud' if self.of_cloud else _short(self.most)}"


@dataclass(frozen=True)
class Budget:
    """Limits that must all hold; without any, everything is allowed.

    Attributes:
        limits: The limits, in the order given.
    """

    limits: tuple[Limit, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a budget.

        Raises:
            InputError: With every mistake in the text.
        """
        if not text.strip():
            return cls()
        limits = [_limit(part.strip()) for part in re.split(r"\band\b", text)]
        problems = [limit for limit in limits if isinstance(limit, str)]
        good = [limit for limit in limits if isinstance(limit, Limit)]
        names = [limit.quantity for limit in good]
        problems += [
            f"{name}: limited {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1
        ]
        if problems:
            raise InputError(f"the budget {text!r} cannot be read:", problems)
        return cls(tuple(good))

    def __str__(self) -> str:
        """Return the budget as :meth:`parse` reads it."""
        return " and ".join(map(str, self.limits))

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the limited quantities."""
        return tuple(limit.quantity for limit in self.limits)

    def resolved(self, cloud: Mapping[str, float]) -> Budget:
        """Return the budget with shares of the cloud model as numbers.

        Args:
            cloud: The cloud model's ``macs`` and ``parameters``, as far as they are known.

        Raises:
            InputError: When a number that a share needs is not known.
        """
        unknown = [
            f"{limit}: the cloud's {limit.quantity} is not known" for limit in self.limits if _lacks(limit, cloud)
        ]
        if unknown:
            raise InputError("cannot take shares of a cloud model that did not run here; give numbers:", unknown)
        return Budget(
            tuple(
                Limit(limit.quantity, limit.most * cloud[limit.quantity]) if limit.of_cloud else limit
                for limit in self.limits
            )
        )

    def allows(self, costs: Mapping[str, float]) -> bool:
        """Return True if costs lie within every limit.

        Raises:
            InputError: When a limited quantity is not among the costs, or a share of the cloud was not resolved.
        """
        return not self.exceeded(costs)

    def exceeded(self, costs: Mapping[str, float]) -> list[str]:
        """Return one line for each limit that costs exceed; see :meth:`allows`."""
        if missing := [name for name in self.quantities if name not in costs]:
            raise InputError(f"the budget limits {', '.join(missing)}, known are {', '.join(costs) or 'no costs'}")
        if shares := [str(limit) for limit in self.limits if limit.of_cloud]:
            raise InputError(f"the budget counts from the cloud model: resolve {', '.join(shares)} first")
        exceeded = [limit for limit in self.limits if costs[limit.quantity] > limit.most]
        return [f"{limit}: takes {costs[limit.quantity]:,.6g}" for limit in exceeded]


def is_measured(quantity: str) -> bool:
    """Return True if a quantity is looked up in a latency table, and not counted."""
    name, _, runtime = quantity.partition(".")
    return name in MEASURED and bool(runtime)


def divided_by(quantity: str) -> str:
    """Return the accelerator whose partitions a quantity counts; empty for any other quantity."""
    name, _, accelerator = quantity.partition(".")
    return accelerator if name == DIVIDED else ""


def _limit(text: str) -> Limit | str:
    """Read a limit; return the problem with it if it is not valid."""
    if not (match := _LIMIT.fullmatch(text)):
        return f"{text!r}: expected a limit such as macs <= 20M"
    quantity, sign, value = match["quantity"], match["sign"], match["value"]
    if quantity not in COUNTED and not is_measured(quantity) and not divided_by(quantity):
        measured = ", ".join(f"{name}.RUNTIME" for name in MEASURED)
        return f"{quantity!r}: expected one of {', '.join(COUNTED)}, {measured} and {DIVIDED}.ACCELERATOR"
    if sign != "<=":
        return f"{text!r}: expected {quantity} <= NUMBER; budgets are upper limits"
    if not (number := _VALUE.fullmatch(value)):
        return f"{text!r}: expected a number (20M, 1.5, cloud/40) after <=, got {value!r}"
    of_cloud = number["number"] is None
    if of_cloud and quantity not in OF_CLOUD:
        return f"{text!r}: only {' and '.join(OF_CLOUD)} can be a share of the cloud's"
    most = _value(number)
    return Limit(quantity, most, of_cloud) if 0 < most < math.inf else f"{text!r}: expected a number above 0"


def _value(number: re.Match[str]) -> float:
    if number["number"] is not None:
        return float(number["number"]) * _SUFFIXES[number["suffix"]]
    if number["share"] is not None:
        return float(number["share"])
    divisor = float(number["divisor"])
    return 1.0 / divisor if divisor else math.inf


def _short(value: float) -> str:
    """Return the number with a suffix, where that is exact."""
    for suffix, factor in reversed(_SUFFIXES.items()):
        if value >= factor and float(number := f"{value / factor:.12g}") * factor == value and "e" not in number:
            return f"{number}{suffix}"
    return repr(value)


def _lacks(limit: Limit, cloud: Mapping[str, float]) -> bool:
    return limit.of_cloud and not cloud.get(limit.quantity)
