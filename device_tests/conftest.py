"""``pytest device_tests --bundle PATH --target T``: the checks of ``hetero verify`` as tests."""

from __future__ import annotations

import dataclasses
import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from device_tests.checks.finding import RUNGS, Finding
from device_tests.checks.gates import Gates
from device_tests.checks.quality import Quality
from device_tests.ladder.climb import check_model
from device_tests.ladder.running import Job
from device_tests.ladder.sample import asked_of
from device_tests.ladder.scope import missing, no_runtime, without_runtime
from device_tests.ladder.verification import judged_student, load_gallery_space, open_bundles
from device_tests.targets.registry import target as target_called
from device_tests.targets.target import Target
from device_tests.verdict.policy import Policy, policy_called
from export.bundle.reading import Bundle
from hetero.errors import InputError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options as of ``hetero verify``."""
    group = parser.getgroup("hetero device tests")
    group.addoption("--bundle", action="append", default=[], metavar="PATH", help="bundle to verify; repeatable")
    group.addoption("--target", action="append", default=[], metavar="NAME", help="target; repeatable; default desktop")
    group.addoption("--space", default=None, metavar="PATH", help="gallery directory or space.json of the gallery")
    group.addoption("--require", action="append", default=[], metavar="FORMAT", help="format that must be verified")
    group.addoption("--policy", default=None, metavar="NAME", help="TOML file with gates and exceptions, or release")
    group.addoption("--floor", type=float, default=None, help="least cmc@1 against the cloud gallery")
    group.addoption("--sample", type=int, default=None, help="most query images that emulated phones embed")
    group.addoption("--largest-loss", type=float, default=None, help="most cmc@1 lost against torch")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse bad input before anything is collected: one message, no traceback."""
    if not session.config.getoption("--bundle"):
        raise pytest.UsageError("these tests verify bundles: pytest device_tests --bundle PATH [--target NAME]")
    try:
        _session(session.config)
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop what targets started."""
    if _SESSION in session.config.stash:
        session.config.stash[_SESSION].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for every bundle, target, format and rung, and one for every bundle's student."""
    if "finding" in metafunc.fixturenames:
        cases = _session(metafunc.config).cases()
        metafunc.parametrize("finding", cases, ids=["-".join(case) for case in cases], indirect=True)
    if "student" in metafunc.fixturenames:
        metafunc.parametrize("student", _session(metafunc.config).students(), indirect=True)


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Finding:
    """The answer of one rung; targets and models run once, when first needed."""
    return _session(request.config).finding(*request.param)


@pytest.fixture
def student(request: pytest.FixtureRequest) -> Quality:
    """Whether a bundle's student is good enough, by the policy."""
    return _session(request.config).student(request.param)


class _Session:
    """Bundles, targets and what came back so far."""

    def __init__(
        self, bundles: list[Bundle], targets: list[Target], policy: Policy, queries: int | None = None
    ) -> None:
        self._queries = queries
        self._bundles = {bundle.manifest.name: bundle for bundle in bundles}
        self._targets = {target.name: target for target in targets}
        self._policy = policy
        # Bound here, so that a cache lives and dies with its session.
        self._unavailable = cache(self._set_up)
        self._findings = cache(self._run)

    def cases(self) -> list[tuple[str, str, str, str, str]]:
        """Bundle, target, format, precision and rung; required formats that are missing included."""
        return [
            (name, target, format, precision, rung)
            for name, bundle in self._bundles.items()
            for target in self._targets
            for format, precision in _formats(bundle, self._policy.gates_of(target))
            for rung in RUNGS
        ]

    def finding(self, bundle: str, target: str, format: str, precision: str, rung: str) -> Finding:
        """The rung's answer; what was asked for and not verified fails, as it has an exit code in ``hetero verify``."""
        found = self._answer(bundle, target, format, precision, rung)
        if found.status in ("pass", "n/a"):
            return found
        today = datetime.date.today()
        if why := self._policy.excuse((bundle, target, format, precision, rung), today):
            return Finding(rung, "not verified", f"excused: {why}; {found.reason}", found.figures)
        if found.status == "not verified":
            return Finding(rung, "fail", f"asked for, but not verified: {found.reason}")
        return found

    def students(self) -> list[str]:
        """Names of the bundles."""
        return list(self._bundles)

    def student(self, bundle: str) -> Quality:
        """The student's answer; one that a policy asks about and that cannot be judged fails."""
        found = judged_student(self._bundles[bundle], self._policy)
        if found.excused:
            return dataclasses.replace(found, status="not judged", reason=f"excused: {found.excused}; {found.reason}")
        if found.status == "not judged" and found.asked:
            return dataclasses.replace(found, status="fail", reason=f"asked for, but not judged: {found.reason}")
        return found

    def _answer(self, bundle: str, target: str, format: str, precision: str, rung: str) -> Finding:
        machine = self._targets[target]
        if reason := no_runtime(machine, format):
            status = without_runtime(format, list(self._targets.values()), self._policy.gates_of(target))
            return Finding(rung, status, reason)
        if reason := self._unavailable(target):
            return Finding(rung, "not verified", reason)
        if not precision:
            return Finding(rung, "not verified", f"the bundle holds no {format} file")
        return next(found for found in self._findings(bundle, target, format, precision) if found.rung == rung)

    def close(self) -> None:
        """Stop what was started."""
        for machine in self._targets.values():
            machine.close()

    def _set_up(self, target: str) -> str:
        try:
            self._targets[target].set_up()
        except InputError as error:
            return str(error)
        return ""

    def _run(self, bundle: str, target: str, format: str, precision: str) -> list[Finding]:
        opened = asked_of(self._bundles[bundle], self._targets[target], self._queries)
        entry = next(e for e in opened.manifest.models if (e.format, e.precision) == (format, precision))
        return check_model(
            opened, entry, Job(opened, entry, self._targets[target]).run(), self._policy.gates_of(target)
        )


_SESSION: pytest.StashKey[_Session] = pytest.StashKey()


def _session(config: pytest.Config) -> _Session:
    if _SESSION not in config.stash:
        given: Any = config.option
        limits = {"floor": given.floor, "largest_loss": given.largest_loss, "require": tuple(given.require) or None}
        policy = policy_called(given.policy) if given.policy else Policy()
        policy = policy.overridden(**{name: value for name, value in limits.items() if value is not None})
        if policy.evidence.ask:
            raise InputError("the policy says what evidence of your own must show, which `hetero verify` takes alone")
        gallery = load_gallery_space(Path(given.space)) if given.space else None
        bundles = open_bundles([Path(path) for path in given.bundle], gallery)
        names = dict.fromkeys(given.target or ["desktop"])
        config.stash[_SESSION] = _Session(bundles, [target_called(name) for name in names], policy, given.sample)
    return config.stash[_SESSION]


def _formats(bundle: Bundle, gates: Gates) -> list[tuple[str, str]]:
    present = [(entry.format, entry.precision) for entry in bundle.manifest.models]
    return [*present, *((format, "") for format in missing(bundle, gates))]
