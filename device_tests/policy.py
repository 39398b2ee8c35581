"""A release policy: the limits that hold, and the exceptions that somebody signed for until a day."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_tests.checks.finding import RUNGS
from device_tests.gates import Gates
from hetero.errors import InputError
from hetero.schema import parse, read_toml, record

ANY = "*"


@record
class Waiver:
    """Something that may fail, or stay unverified, until a day.

    Attributes:
        rung: Of the ladder.
        reason: Why it may.
        expires: The last day on which it counts.
        bundle: Name of a bundle; ``*`` for any, here and below.
        target: As on the command line.
        format: For instance ``litert``.
        precision: For instance ``int8-dynamic``.
    """

    rung: str
    reason: str
    expires: datetime.date
    bundle: str = ANY
    target: str = ANY
    format: str = ANY
    precision: str = ANY

    def covers(self, bundle: str, target: str, format: str, precision: str, rung: str) -> bool:
        """Whether it is about this row."""
        wanted = (self.bundle, self.target, self.format, self.precision, self.rung)
        return all(
            want in (ANY, came) for want, came in zip(wanted, (bundle, target, format, precision, rung), strict=True)
        )


@record
class _File:
    gates: dict[str, Any] = field(default_factory=dict[str, Any])
    targets: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    exceptions: tuple[Waiver, ...] = ()


@dataclass(frozen=True)
class Policy:
    """What a bundle must reach, target by target.

    Attributes:
        gates: Limits on every target.
        targets: Limits that differ on some targets, by the target's name.
        exceptions: In the file's order.
    """

    gates: Gates = field(default_factory=Gates)
    targets: dict[str, Gates] = field(default_factory=dict[str, Gates])
    exceptions: tuple[Waiver, ...] = ()

    def gates_of(self, target: str) -> Gates:
        """The limits on a target."""
        return self.targets.get(target, self.gates)

    def overridden(self, **values: Any) -> Policy:
        """The same policy with other limits, on every target."""
        targets = {name: dataclasses.replace(gates, **values) for name, gates in self.targets.items()}
        return Policy(dataclasses.replace(self.gates, **values), targets, self.exceptions)

    def excuse(self, row: Sequence[str], today: datetime.date) -> str:
        """Why a row may fail; empty when it may not.

        Args:
            row: Bundle, target, format, precision and rung.
            today: Exceptions that expired earlier count no more.
        """
        for exception in self.exceptions:
            if exception.covers(*row) and today <= exception.expires:
                return f"{exception.reason} (until {exception.expires.isoformat()})"
        return ""

    def expired(self, row: Sequence[str], today: datetime.date) -> str:
        """The exception that covered a row and counts no more, for the row's reason; empty when there is none."""
        for exception in self.exceptions:
            if exception.covers(*row) and today > exception.expires:
                return f"the exception for this expired on {exception.expires.isoformat()}"
        return ""

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Read a TOML file with the tables ``gates``, ``targets.NAME`` and ``exceptions``.

        Raises:
            InputError: When there is none, or with everything that is wrong with it.
        """
        value = read_toml(path, "a policy")
        told = parse(_File, value, what=str(path))
        problems = [
            f"exceptions: unknown rung {one.rung!r}; expected {', '.join(RUNGS)}"
            for one in told.exceptions
            if one.rung not in (*RUNGS, ANY)
        ]
        problems += [f"exceptions: {one.rung} needs a reason" for one in told.exceptions if not one.reason.strip()]
        named = {field.name for field in dataclasses.fields(Gates)}
        for place, table in (
            ("gates", told.gates),
            *((f"targets.{name}", item) for name, item in told.targets.items()),
        ):
            problems += [
                f"{place}: unknown key {key!r}; expected {', '.join(sorted(named))}" for key in table.keys() - named
            ]
        if problems:
            raise InputError(f"{path} is not a valid policy:", problems)
        everywhere = _gates(told.gates, f"{path}, gates")
        return cls(
            everywhere,
            {name: _gates(told.gates | item, f"{path}, targets.{name}") for name, item in told.targets.items()},
            told.exceptions,
        )


def _gates(table: dict[str, Any], what: str) -> Gates:
    """Limits from a table whose keys are known."""
    return parse(Gates, table, what=what)
