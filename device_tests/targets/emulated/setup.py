"""Set up an emulated phone below the cache folder: without root, in stages, one process at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from device_tests.targets.debian import debs
from device_tests.targets.debian.apt_sources import archive_sources, read_sources
from device_tests.targets.debian.debs import Archives
from device_tests.targets.emulated import guest, qemu, wheels
from device_tests.targets.emulated.systems import System
from device_tests.targets.host import Host, detect
from device_tests.targets.stages import SetUpStage, ensure, is_done, locked, remove_unfinished, stage_record
from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.files import cache_directory, read_json, sha256_file, write_json, write_text

_RECIPE = 1
_STAGES = 6
_WORK = "work"


def phone_directory(system: System) -> Path:
    """Return the folder of an emulated phone."""
    return cache_directory() / system.name


@dataclass(frozen=True)
class Phone:
    """An emulated phone that is ready to run.

    Attributes:
        guest: The system that runs programs, on the default core.
        versions: Versions of its parts, recorded during setup.
    """

    guest: guest.Guest
    versions: dict[str, str]


def set_up(system: System, root: Path | None = None) -> Phone:
    """Set up the emulated phone, or return the existing one.

    Args:
        system: The system to set up.
        root: Its folder; the cache's by default.

    Raises:
        InputError: If it is unavailable on this machine, with the reason.
    """
    root = phone_directory(system) if root is None else root
    machine = detect()
    if (phone := _ready(system, root, machine)) is not None:
        return phone
    try:
        _make(system, root, machine)
    except OSError as error:
        raise InputError(f"the emulated phone could not be set up in {root}: {error}") from None
    phone = _ready(system, root, machine)
    if phone is None:
        raise InputError(f"the emulated phone at {root} changed while it was set up; set it up again")
    return phone


def _make(system: System, root: Path, machine: Host) -> None:
    with locked(root, say=tqdm.write) as lock:
        remove_unfinished(root)
        # While this exists the setup is not finished: phone.json may describe earlier stages.
        (root / _WORK).mkdir(exist_ok=True)
        with Bar(total=_STAGES, unit="stage", desc=system.name) as bar:
            for stage in _stages(system, root, machine, lock):
                bar.set_postfix_str(stage.doing)
                ensure(root, stage)
                bar.update()
        write_json(root / "phone.json", _record(system, root))
        shutil.rmtree(root / _WORK)


def existing(system: System) -> Phone | None:
    """Return the emulated phone if it is set up for this machine's versions.

    Raises:
        InputError: If it is unavailable on this machine.
    """
    return _ready(system, phone_directory(system), detect())


def _ready(system: System, root: Path, machine: Host) -> Phone | None:
    if not (root / "phone.json").is_file() or (root / _WORK).exists():
        return None
    if not all(is_done(root, stage) for stage in _stages(system, root, machine, lock=-1)):
        return None
    return Phone(_guest(system, root), read_json(root / "phone.json")["versions"])


def _stages(system: System, root: Path, machine: Host, lock: int) -> Iterator[SetUpStage]:
    """Yield the stages in order, each after the ones before it are done, because it depends on their results."""
    work = root / _WORK

    def tree(name: str) -> object:
        return stage_record(root, name).get("tree")

    def packages(folder: Path) -> None:
        archives = Archives(machine, system.architecture, system.release, work / "guest", lock)
        for path in archives.download(system.packages):
            shutil.copy(path, folder / path.name)

    def emulator(folder: Path) -> None:
        sources = archive_sources(read_sources(), machine.codename, machine.architecture)
        qemu.fetch(system, folder, work, machine, sources, lock)

    def sysroot(folder: Path) -> None:
        debs.unpack(root / "packages", folder)
        if own_cpuinfo:
            guest.add_cpuinfo(folder)
        emulated = guest.Guest(system, _emulator(system, root), _core(system, root), folder, folder).command
        guest.byte_compile(folder / "usr" / "lib", guest.python_version(folder), emulated)

    def download_wheels(folder: Path) -> None:
        wheels.download(system, folder, work, guest.python_version(root / "sysroot"), lock)

    def site(folder: Path) -> None:
        wheels.unpack(root / "wheels", folder)
        guest.byte_compile(folder, guest.python_version(root / "sysroot"), _guest(system, root).command)

    def trial(folder: Path) -> None:
        write_text(folder / "versions.json", _guest(system, root).trial())

    on_path = qemu.on_path(system) if system.emulator else None
    if system.emulator and on_path is None:
        yield SetUpStage("emulator", "downloading the emulator", [_RECIPE, machine.codename], emulator)
    yield SetUpStage("packages", "downloading packages", [_RECIPE, machine.codename, system.packages], packages)
    own_cpuinfo = bool(system.emulator) and system.core not in qemu.processors(_emulator(system, root))
    yield SetUpStage("sysroot", "unpacking the system", [_RECIPE, tree("packages"), own_cpuinfo], sysroot)
    yield SetUpStage("wheels", "downloading the runtimes", [_RECIPE, system.versions, tree("sysroot")], download_wheels)
    yield SetUpStage("site", "unpacking the runtimes", [_RECIPE, tree("wheels"), tree("sysroot")], site)
    emulator_is = tree("emulator") if on_path is None else [str(on_path), qemu.version(on_path)]
    yield SetUpStage("trial", "starting it", [_RECIPE, tree("site"), tree("sysroot"), emulator_is], trial)


def _emulator(system: System, root: Path) -> Path:
    if not system.emulator:
        return Path()
    return qemu.on_path(system) or root / "emulator" / system.emulator


def _core(system: System, root: Path) -> str:
    return qemu.core(system, _emulator(system, root), system.core) if system.emulator else ""


def _guest(system: System, root: Path) -> guest.Guest:
    return guest.Guest(system, _emulator(system, root), _core(system, root), root / "sysroot", root / "site")


def _record(system: System, root: Path) -> dict[str, object]:
    """Return everything that was downloaded, by digest, with descriptions."""
    emulator = _emulator(system, root)
    by = {"emulator": f"QEMU {qemu.version(emulator)} (user mode)"} if system.emulator else {}
    programs = {system.emulator: sha256_file(emulator)} if system.emulator else {}
    downloads = [*sorted((root / "packages").glob("*.deb")), *sorted((root / "wheels").glob("*.whl"))]
    return {
        "versions": {
            **json.loads((root / "trial" / "versions.json").read_text(encoding="utf-8")),
            **by,
        },
        "sha256": {**programs, **{path.name: sha256_file(path) for path in downloads}},
        "trees": {name: stage_record(root, name)["tree"] for name in ("packages", "sysroot", "wheels", "site")},
    }
