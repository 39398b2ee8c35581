"""ARM64 wheels of the runtimes, in the very versions that are installed here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from device_tests.targets.versions import constraints
from hetero.errors import InputError

# Every manylinux tag up to the oldest glibc of a release that has Python 3.11.
_PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 36)))


def download(folder: Path, work: Path, versions: Mapping[str, str], python: tuple[int, int], lock: int) -> None:
    """Download wheels with all that they need; pip uses the index that it is configured with.

    Args:
        folder: Receives the wheels.
        work: Receives the list of constraints.
        versions: Package name to version.
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
        *(part for platform in _PLATFORMS for part in ("--platform", platform)),
    ]
    wanted = [f"{name}=={version}" for name, version in versions.items()]
    options = ["--only-binary=:all:", "--constraint", str(pins), "--dest", str(folder)]
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
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=(lock,))
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR")]
        raise InputError(
            f"pip {arguments[0]} failed with status {done.returncode}:", said or done.stderr.splitlines()[-5:]
        )
