"""No program that verification starts executes what lies in the folder that the user is in."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_tests.targets import host
from device_tests.targets.adb.client import Adb, attached, find
from device_tests.targets.browser import setup
from device_tests.targets.debian import debs
from device_tests.targets.debian.apt_root import AptRoot
from device_tests.targets.desktop import Desktop
from device_tests.targets.emulated import guest, qemu, wheels
from device_tests.targets.emulated.guest import tried
from device_tests.targets.emulated.systems import AMD64
from device_tests.targets.job import clean_environment
from device_tests.targets.system.machine import Machine, Tools
from device_tests.targets.target import Request
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import write_bundle
from tests.device_tests.tiny_models import HEIGHT, WIDTH
from tests.poison import poisoned

KNOWN = dataclasses.replace(AMD64, modules=("json",), distributions=("numpy",))
EMULATED = dataclasses.replace(KNOWN, emulator="qemu-aarch64")


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where executed code leaves a mark; the current folder, which even PATH and PYTHONPATH name, is poisoned."""
    folder = tmp_path / "poisoned"
    folder.mkdir()
    mark = poisoned(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f".:{sys.exec_prefix}/bin")
    monkeypatch.setenv("PYTHONPATH", ":.")
    monkeypatch.setenv("LD_LIBRARY_PATH", ".")
    return mark


@pytest.mark.parametrize("format", ["onnx", "litert", "coreml"])
def test_a_runner(format: str, tmp_path: Path, executed: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=(format,))
    model = next(bundle.glob("model.*"))
    desktop = Desktop()
    try:
        request = Request("x", desktop.runtimes[format], model, np.zeros((2, HEIGHT, WIDTH, 3), np.uint8))
        returned = desktop.run(request, lambda _done, _total: None)
    finally:
        desktop.close()
    assert not executed.exists()
    assert not returned.error


def quietly(work: Callable[[], object]) -> None:
    """Whether there is such a program here does not matter."""
    with contextlib.suppress(InputError, OSError):
        work()


def tried_in_a_guest(_: Path) -> None:
    tried(KNOWN, [sys.executable], clean_environment(), failing="fails")


def tethered(folder: Path) -> None:
    machine = object.__new__(Machine)
    machine._folder = folder
    machine._tethered = []
    machine._start([sys.executable, "-c", "import json"], "log.txt", {})
    assert machine._tethered[0].wait() == 0, (folder / "log.txt").read_text()


KINDS: dict[str, Callable[[Path], object]] = {
    "a guest": tried_in_a_guest,
    "a tethered program": tethered,
    "pip": lambda _: wheels._pip(["--version"], 0),
    "byte code": lambda folder: guest.byte_compile(folder, sys.version_info[:2], []),
    "apt-get": lambda folder: quietly(lambda: AptRoot(folder, "amd64", [], 0).update()),
    "dpkg": lambda folder: quietly(lambda: ((folder / "x.deb").touch(), debs.unpack(folder, folder / "out"))),
    "adb": lambda _: quietly(lambda: attached([find()], Adb([find()], "x").variables)),
    "adb by name": lambda _: quietly(Adb(["adb"], "x").require),
    "an emulator": lambda _: qemu.on_path(EMULATED),
    "a browser": lambda _: quietly(lambda: setup.browser_version(setup.browser())),
    "npm": lambda folder: quietly(lambda: setup._stage(0).build(folder)),
    "the host's tools": lambda _: quietly(host.detect),
    "tools of the device": lambda folder: quietly(Tools(folder).versions),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_program(kind: str, tmp_path: Path, executed: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    KINDS[kind](work)
    assert not executed.exists(), executed.read_text()
