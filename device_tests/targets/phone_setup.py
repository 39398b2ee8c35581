"""Set up an emulated phone below the cache folder: without root, in stages, one process at a time."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from device_tests.targets import guest, qemu, wheels
from device_tests.targets.apt_root import AptRoot
from device_tests.targets.apt_sources import archive_sources, read_sources
from device_tests.targets.host import Host, detect
from device_tests.targets.stages import Stage, ensure, is_done, locked, remove_unfinished, stage_record
from device_tests.targets.systems import System
from hetero.errors import InputError
from hetero.files import cache_directory, read_json, sha256_file, write_json, write_text

_RECIPE = 1
_STAGES = 6


def phone_directory(system: System) -> Path:
    """Where an emulated phone lives."""
    return cache_directory() / system.name


@dataclass(frozen=True)
class Phone:
    """An emulated phone that is ready to run.

    Attributes:
        guest: Runs its programs, on the default core.
        versions: What it is made of, as the set-up recorded it.
    """

    guest: guest.Guest
    versions: dict[str, str]


def set_up(system: System, root: Path | None = None) -> Phone:
    """Make the emulated phone, or take it as it stands.

    Args:
        system: Which.
        root: Its folder; the cache's by default.

    Raises:
        InputError: When it cannot be had on this machine, with the reason.
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
        with tqdm(total=_STAGES, unit="stage", desc=system.name) as bar:
            for stage in _stages(system, root, machine, lock):
                bar.set_postfix_str(stage.doing)
                ensure(root, stage)
                bar.update()
        write_json(root / "phone.json", _record(system, root))
        shutil.rmtree(root / "work", ignore_errors=True)


def existing(system: System) -> Phone | None:
    """The emulated phone if it is set up for this machine's versions.

    Raises:
        InputError: When it cannot be had on this machine.
    """
    return _ready(system, phone_directory(system), detect())


def _ready(system: System, root: Path, machine: Host) -> Phone | None:
    if not (root / "phone.json").is_file():
        return None
    if not all(is_done(root, stage) for stage in _stages(system, root, machine, lock=-1)):
        return None
    return Phone(_guest(system, root), read_json(root / "phone.json")["versions"])


def _stages(system: System, root: Path, machine: Host, lock: int) -> Iterator[Stage]:
    """The stages in order; each is described when the ones before it are done, since its inputs are their outcome."""
    work = root / "work"

    def tree(name: str) -> object:
        return stage_record(root, name).get("tree")

    def packages(folder: Path) -> None:
        for path in _download_packages(system, work / "guest", _stanzas(system, machine), lock):
            shutil.copy(path, folder / path.name)

    def emulator(folder: Path) -> None:
        sources = archive_sources(read_sources(), machine.codename, machine.architecture)
        qemu.fetch(system, folder, work, machine, sources, lock)

    def sysroot(folder: Path) -> None:
        guest.unpack(root / "packages", folder, own_cpuinfo=own_cpuinfo)
        emulated = guest.Guest(system, _emulator(system, root), _core(system, root), folder, folder).command
        guest.byte_compile(folder / "usr" / "lib", guest.python_version(folder), emulated)

    def download_wheels(folder: Path) -> None:
        wheels.download(system, folder, work, guest.python_version(root / "sysroot"), lock)

    def site(folder: Path) -> None:
        wheels.unpack(root / "wheels", folder)
        guest.byte_compile(folder, guest.python_version(root / "sysroot"), _guest(system, root).command)

    def trial(folder: Path) -> None:
        write_text(folder / "versions.json", _guest(system, root).trial())

    found = qemu.on_path(system)
    if found is None:
        yield Stage("emulator", "downloading the emulator", [_RECIPE, machine.codename], emulator)
    yield Stage("packages", "downloading packages", [_RECIPE, machine.codename, system.packages], packages)
    own_cpuinfo = system.core not in qemu.processors(_emulator(system, root))
    yield Stage("sysroot", "unpacking the system", [_RECIPE, tree("packages"), own_cpuinfo], sysroot)
    yield Stage("wheels", "downloading the runtimes", [_RECIPE, system.versions, tree("sysroot")], download_wheels)
    yield Stage("site", "unpacking the runtimes", [_RECIPE, tree("wheels"), tree("sysroot")], site)
    emulator_is = tree("emulator") if found is None else [str(found), qemu.version(found)]
    yield Stage("trial", "starting it", [_RECIPE, tree("site"), tree("sysroot"), emulator_is], trial)


def _stanzas(system: System, machine: Host) -> list[str]:
    """This machine's archives for the system's architecture, and its release where that is another one."""
    sources = archive_sources(read_sources(), machine.codename, system.architecture)
    if system.release in ("", machine.codename):
        return [source.stanza(system.architecture, source.suites) for source in sources]
    # Updates and security may live elsewhere for another release; its main archive is complete by itself.
    return [source.stanza(system.architecture, [system.release]) for source in sources[:1]]


def _download_packages(system: System, work: Path, stanzas: Sequence[str], lock: int) -> list[Path]:
    architecture = system.architecture
    if not stanzas:
        raise InputError(
            "this machine's apt sources name no archive of its release with component main that may serve "
            f"{architecture}; add one (on Ubuntu the archive for arm64 is the one of its 'ports'), then try again"
        )
    try:
        return _fetched(system, work, stanzas, lock)
    except InputError as error:
        refused = error
    if len(stanzas) > 1:
        # Mirrors of updates are out of step for minutes at a time; the main archive is complete by itself.
        tqdm.write(f"{system.name}: without updates, since an archive of updates does not answer. {refused}")
        with contextlib.suppress(InputError):
            return _fetched(system, work, stanzas[:1], lock)
    raise InputError(
        f"the archives that this machine's apt uses did not give {architecture} packages. Without network, try again "
        f"later; on Ubuntu, whose ARM packages are on a 'ports' archive, add that one with `Architectures: "
        f"{architecture}` to this machine's apt sources. {refused}"
    )


def _fetched(system: System, work: Path, stanzas: Sequence[str], lock: int) -> list[Path]:
    apt = AptRoot(work, system.architecture, stanzas, lock)
    apt.update()
    return apt.install_download(system.packages)


def _emulator(system: System, root: Path) -> Path:
    return qemu.on_path(system) or root / "emulator" / system.emulator


def _core(system: System, root: Path) -> str:
    return qemu.core(system, _emulator(system, root), system.core)


def _guest(system: System, root: Path) -> guest.Guest:
    return guest.Guest(system, _emulator(system, root), _core(system, root), root / "sysroot", root / "site")


def _record(system: System, root: Path) -> dict[str, object]:
    """Everything that was downloaded, by digest, and what it is."""
    emulator = _emulator(system, root)
    downloads = [*sorted((root / "packages").glob("*.deb")), *sorted((root / "wheels").glob("*.whl"))]
    return {
        "versions": {
            **json.loads((root / "trial" / "versions.json").read_text(encoding="utf-8")),
            "emulator": f"QEMU {qemu.version(emulator)} (user mode)",
        },
        "sha256": {system.emulator: sha256_file(emulator), **{path.name: sha256_file(path) for path in downloads}},
        "trees": {name: stage_record(root, name)["tree"] for name in ("packages", "sysroot", "wheels", "site")},
    }
