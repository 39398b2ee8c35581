"""ARM wheels of the runtimes."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from device_tests.targets.emulated.systems import System
from device_tests.targets.versions import constraints
from hetero.errors import InputError
from hetero.processes import children


def download(system: System, folder: Path, work: Path, python: tuple[int, int], lock: int) -> None:
    """Download a system's wheels; pip uses its configured index.

    Args:
        system: The system.
        folder: The folder for the wheels.
        work: The folder for the list of constraints.
        python: The phone's Python.
        lock: File descriptor that pip inherits.

    Raises:
        InputError: With pip's own message.
    """
    work.mkdir(parents=True, exist_ok=True)
    pins = work / "constraints.txt"
    pins.write_text("\n".join(constraints()), encoding="utf-8")
    tags = [
        *("--python-version", f"{python[0]}.{python[1]}"),
        *("--implementation", "cp"),
        *(part for abi in (f"cp{python[0]}{python[1]}", "abi3", "none") for part in ("--abi", abi)),
        *(part for platform in system.platforms for part in ("--platform", platform)),
    ]
    requirements = [f"{name}=={version}" for name, version in system.versions.items()]
    # Without dependencies, the constraints, which are this machine's versions, do not apply.
    scope = ["--no-deps"] if system.alone else ["--constraint", str(pins)]
    options = ["--only-binary=:all:", *scope, "--dest", str(folder)]
    _pip(["download", "--quiet", *options, *tags, *requirements], lock)


def unpack(wheels: Path, folder: Path) -> None:
    """Unpack wheels into a folder that can be put on PYTHONPATH.

    pip would do the same, but also write scripts that name this machine's interpreter.
    """
    for path in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    for extra in sorted(folder.glob("*.data")):
        for part in ("purelib", "platlib"):
            if (extra / part).is_dir():
                shutil.copytree(extra / part, folder, dirs_exist_ok=True)
        shutil.rmtree(extra)


def _pip(arguments: Sequence[str], lock: int) -> None:
    if find_spec("pip") is None:
        raise InputError("setting up the emulated phone needs pip in this environment: python -m ensurepip")
    command = children.python("-m", "pip", "--disable-pip-version-check", *arguments)
    completed = children.run(command, inherited=[lock])
    if completed.returncode:
        errors = [line for line in (completed.stdout + completed.stderr).splitlines() if line.startswith("ERROR")]
        raise InputError(
            f"pip {arguments[0]} failed with status {completed.returncode}:",
            errors or completed.stderr.splitlines()[-5:],
        )
