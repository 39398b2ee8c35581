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
    """Download a system's wheels; pip uses the index that it is configured with.

    Args:
        system: Whose.
        folder: Receives the wheels.
        work: Receives the list of constraints.
        python: The phone's Python.
        lock: Inherited by pip.

    Raises:
        InputError: With pip's own words.
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
    wanted = [f"{name}=={version}" for name, version in system.versions.items()]
    # Without dependencies the constraints, which are this machine's versions, have nothing to say either.
    scope = ["--no-deps"] if system.alone else ["--constraint", str(pins)]
    options = ["--only-binary=:all:", *scope, "--dest", str(folder)]
    _pip(["download", "--quiet", *options, *tags, *wanted], lock)


def unpack(wheels: Path, folder: Path) -> None:
    """Unpack wheels into a folder that can be put on PYTHONPATH.

    pip would do the same, but also write start scripts that name this machine's interpreter.
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
    done = children.run(command, inherited=[lock])
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR")]
        raise InputError(
            f"pip {arguments[0]} failed with status {done.returncode}:", said or done.stderr.splitlines()[-5:]
        )
