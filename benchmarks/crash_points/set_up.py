"""Stages of an emulated phone's set-up as they write, without what they download."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device_tests.targets.emulated.guest import Guest
from device_tests.targets.emulated.systems import System
from device_tests.targets.host import Host
from device_tests.targets.stages import SetUpStage, stage_record
from hetero.files import read_json, write_json


def stages(version: int) -> dict[str, Any]:
    """What takes the place of functions of :mod:`device_tests.targets.emulated.setup`.

    Args:
        version: Of the packages: another one makes every stage anew.
    """

    def made(_system: object, root: Path, _machine: object, _lock: int = -1, *, lock: int = -1) -> Iterator[SetUpStage]:
        work = root / "work"

        def tree(name: str) -> object:
            return stage_record(root, name).get("tree")

        def packages(folder: Path) -> None:
            (work / "archives").mkdir(parents=True, exist_ok=True)
            for name in ("python", "libc"):
                (work / "archives" / name).write_bytes(f"{name} {version}\n".encode() * 100)
                shutil.copy(work / "archives" / name, folder / name)

        def system(folder: Path) -> None:
            for package in (root / "packages").iterdir():
                (folder / "usr").mkdir(exist_ok=True)
                shutil.copy(package, folder / "usr" / package.name)

        def trial(folder: Path) -> None:
            write_json(folder / "versions.json", {"python": str(version)})

        yield SetUpStage("packages", "downloading packages", [version], packages)
        yield SetUpStage("sysroot", "unpacking the system", [tree("packages")], system)
        yield SetUpStage("trial", "starting it", [tree("sysroot")], trial)

    def record(_system: object, root: Path) -> dict[str, object]:
        names = ("packages", "sysroot", "trial")
        held = {name: stage_record(root, name)["tree"] for name in names}
        return {"versions": read_json(root / "trial" / "versions.json"), "trees": held}

    def guest(system: System, root: Path) -> Guest:
        return Guest(system, Path(), "", root / "sysroot", root / "site")

    machine = Host("debian", "bookworm", "amd64")
    return {"_stages": made, "_record": record, "_guest": guest, "detect": lambda: machine}
