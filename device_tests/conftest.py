"""``pytest device_tests --bundle PATH --target T``: the checks of ``hetero verify`` as tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from device_tests.checks.finding import Finding
from device_tests.checks.quality import Quality
from device_tests.ladder.opening import load_gallery_space, open_bundles
from device_tests.ladder.verification import Verification
from device_tests.targets.registry import target as target_called
from device_tests.verdict.policy import Policy, policy_called
from hetero.errors import InputError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of ``hetero verify``."""
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
    """Stop everything that targets started."""
    if _SESSION in session.config.stash:
        session.config.stash[_SESSION].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every bundle, target, format and rung, and one for every bundle's student."""
    if "finding" in metafunc.fixturenames:
        cases = _session(metafunc.config).cases()
        metafunc.parametrize("finding", cases, ids=["-".join(case) for case in cases], indirect=True)
    if "student" in metafunc.fixturenames:
        metafunc.parametrize("student", list(_session(metafunc.config).bundles), indirect=True)


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Finding:
    """Return the answer of one rung; a required answer that is not verified fails the test."""
    row = _session(request.config).row(request.param)
    if row.excused:
        return Finding(row.rung, "not verified", f"excused: {row.excused}; {row.reason}", row.figures)
    if row.status == "not verified":
        return Finding(row.rung, "fail", f"asked for, but not verified: {row.reason}")
    return Finding(row.rung, row.status, row.reason, row.figures)


@pytest.fixture
def student(request: pytest.FixtureRequest) -> Quality:
    """Return the judgement of a bundle's student; one that is required and cannot be judged fails the test."""
    quality = _session(request.config).student(request.param)
    if quality.excused:
        reason = f"excused: {quality.excused}; {quality.reason}"
        return dataclasses.replace(quality, status="not judged", reason=reason)
    if quality.status == "not judged" and quality.asked:
        return dataclasses.replace(quality, status="fail", reason=f"asked for, but not judged: {quality.reason}")
    return quality


_SESSION: pytest.StashKey[Verification] = pytest.StashKey()


def _session(config: pytest.Config) -> Verification:
    if _SESSION not in config.stash:
        options: Any = config.option
        limits = {
            "floor": options.floor,
            "largest_loss": options.largest_loss,
            "require": tuple(options.require) or None,
        }
        policy = policy_called(options.policy) if options.policy else Policy()
        policy = policy.overridden(**{name: value for name, value in limits.items() if value is not None})
        if policy.evidence.ask:
            raise InputError("the policy says what evidence of your own must show, which `hetero verify` takes alone")
        gallery = load_gallery_space(Path(options.space)) if options.space else None
        bundles = open_bundles([Path(path) for path in options.bundle], gallery)
        names = dict.fromkeys(options.target or ["desktop"])
        config.stash[_SESSION] = Verification(bundles, [target_called(name) for name in names], policy, options.sample)
    return config.stash[_SESSION]
