"""A release policy: its limits, and signed exceptions with an expiry date."""

from __future__ import annotations

import dataclasses
import datetime
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from device_tests.checks.finding import ADDITIONAL, RUNGS
from device_tests.checks.gates import EvidenceGates, Gates
from device_tests.checks.quality import STUDENT, QualityGates
from export.bundle.signing import is_key
from hetero.errors import InputError
from hetero.schema import parse, read_toml, record

ANY = "*"


@record
class Waiver:
    """An exception: something that may fail, or stay unverified, until a given day.

    Attributes:
        rung: A rung of the ladder, ``text``, ``evidence``, or ``student``, which is about the model and takes no
            target, format or precision.
        reason: The reason for the exception.
        expires: The last day on which it counts.
        bundle: Name of a bundle; ``*`` for any, here and below.
        target: Name as on the command line.
        format: A format, for instance ``litert``.
        precision: A precision, for instance ``int8-dynamic``.
    """

    rung: str
    reason: str
    expires: datetime.date
    bundle: str = ANY
    target: str = ANY
    format: str = ANY
    precision: str = ANY

    def covers(self, bundle: str, target: str, format: str, precision: str, rung: str) -> bool:
        """True if it is about this row."""
        wanted = (self.bundle, self.target, self.format, self.precision, self.rung)
        return all(
            want in (ANY, came) for want, came in zip(wanted, (bundle, target, format, precision, rung), strict=True)
        )


@record
class _File:
    gates: dict[str, Any] = field(default_factory=dict[str, Any])
    student: dict[str, Any] = field(default_factory=dict[str, Any])
    targets: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    exceptions: tuple[Waiver, ...] = ()
    trusted_keys: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Policy:
    """Requirements on a bundle, target by target.

    Attributes:
        gates: Limits on every target.
        targets: Limits that differ on some targets, by the target's name.
        exceptions: In the file's order.
        student: Requirements on the student, wherever it runs; by default nothing is judged.
        trusted_keys: Public keys in hexadecimal; when there are any, one of them must have signed every bundle.
        evidence: Requirements on a release manager's own gallery and photos.
    """

    gates: Gates = field(default_factory=Gates)
    targets: dict[str, Gates] = field(default_factory=dict[str, Gates])
    exceptions: tuple[Waiver, ...] = ()
    student: QualityGates = field(default_factory=QualityGates)
    trusted_keys: tuple[str, ...] = ()
    evidence: EvidenceGates = field(default_factory=EvidenceGates)

    def gates_of(self, target: str) -> Gates:
        """Return the limits on a target."""
        return self.targets.get(target, self.gates)

    def overridden(self, **values: Any) -> Policy:
        """Return the same policy with other limits, on every target."""
        targets = {name: dataclasses.replace(gates, **values) for name, gates in self.targets.items()}
        return dataclasses.replace(self, gates=dataclasses.replace(self.gates, **values), targets=targets)

    def excuse(self, row: Sequence[str], today: datetime.date) -> str:
        """Return the reason why a row may fail; empty if it may not.

        Args:
            row: Bundle, target, format, precision and rung.
            today: Exceptions that expired before this day no longer count.
        """
        for exception in self.exceptions:
            if exception.covers(*row) and today <= exception.expires:
                return f"{exception.reason} (until {exception.expires.isoformat()})"
        return ""

    def expired(self, row: Sequence[str], today: datetime.date) -> str:
        """Return the note on an expired exception of a row, for the row's reason; empty if there is none."""
        for exception in self.exceptions:
            if exception.covers(*row) and today > exception.expires:
                return f"the exception for this expired on {exception.expires.isoformat()}"
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record of every limit and exception."""
        exceptions = [vars(one) | {"expires": one.expires.isoformat()} for one in self.exceptions]
        return dataclasses.asdict(self) | {"exceptions": exceptions}

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Read a TOML file: ``gates``, ``student``, ``evidence``, ``targets.NAME``, ``exceptions``, ``trusted_keys``.

        Raises:
            InputError: If there is no file, with every problem of it otherwise.
        """
        return parsed(read_toml(path, "a policy"), what=str(path))


def policy_called(name: str | Path) -> Policy:
    """Return a policy that comes with the package by its name, or read one from a file.

    Raises:
        InputError: If there is none, with every problem of it otherwise.
    """
    known = {file.name.removesuffix(".toml"): file for file in _built_in().iterdir() if file.name.endswith(".toml")}
    if str(name) in known:
        return parsed(tomllib.loads(known[str(name)].read_text(encoding="utf-8")), what=f"the policy {name}")
    if not Path(name).exists():
        raise InputError(f"expected a policy, {' or '.join(sorted(known))} or a TOML file, found no {name}")
    return Policy.load(Path(name))


def parsed(value: dict[str, Any], *, what: str) -> Policy:
    """Return a policy from parsed TOML.

    Raises:
        InputError: With every problem of it.
    """
    file = parse(_File, value, what=what)
    problems = [
        f"exceptions: unknown rung {one.rung!r}; expected {', '.join((*RUNGS, *ADDITIONAL, STUDENT))}"
        for one in file.exceptions
        if one.rung not in (*RUNGS, *ADDITIONAL, STUDENT, ANY)
    ]
    problems += [f"exceptions: {one.rung} needs a reason" for one in file.exceptions if not one.reason.strip()]
    problems += [
        f"trusted_keys: expected a public key as `hetero bundle key` prints it, 64 hexadecimal digits, got {one!r}"
        for one in file.trusted_keys
        if not is_key(one)
    ]
    problems += _unknown_keys("gates", file.gates, Gates)
    problems += _unknown_keys("student", file.student, QualityGates)
    problems += _unknown_keys("evidence", file.evidence, EvidenceGates)
    for name, table in file.targets.items():
        problems += _unknown_keys(f"targets.{name}", table, Gates)
    if problems:
        raise InputError(f"{what} is not a valid policy:", problems)
    return Policy(
        parse(Gates, file.gates, what=f"{what}, gates"),
        {
            name: parse(Gates, file.gates | table, what=f"{what}, targets.{name}")
            for name, table in file.targets.items()
        },
        file.exceptions,
        parse(QualityGates, file.student, what=f"{what}, student"),
        file.trusted_keys,
        parse(EvidenceGates, file.evidence, what=f"{what}, evidence"),
    )


def _unknown_keys(place: str, table: dict[str, Any], kind: type[Gates | QualityGates | EvidenceGates]) -> list[str]:
    names = {field.name for field in dataclasses.fields(kind)}
    return [f"{place}: unknown key {key!r}; expected {', '.join(sorted(names))}" for key in table.keys() - names]


def _built_in() -> Traversable:
    return resources.files("device_tests.verdict.policies")
