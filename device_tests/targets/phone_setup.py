"""Set up the emulated ARM64 phone below the cache folder: without root, in stages, one process at a time."""

from __future__ import annotations

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
from device_tests.targets.versions import RUNTIME_PACKAGES, installed_versions
from hetero.errors import InputError
from hetero.files import cache_directory, read_json, sha256_file, write_json, write_text

_RECIPE = 1
_STAGES = 6


def phone_directory() -> Path:
    """Where the emulated phone lives."""
    return cache_directory() / "phone-arm64"


@dataclass(frozen=True)
class Phone:
    """An emulated phone that is ready to run.

    Attributes:
        guest: Runs its programs, on the default core.
        versions: What it is made of, as the set-up recorded it.
    """

    guest: guest.Guest
    versions: dict[str, str]


def set_up(root: Path | None = None) -> Phone:
    """Make the emulated phone, or take it as it stands.

    Args:
        root: Its folder; the cache's by default.

    Raises:
        InputError: When it cannot be had on this machine, with the reason.
    """
    root = phone_directory() if root is None else root
    machine = detect()
    if (phone := _ready(root, machine)) is not None:
        return phone
    try:
        _make(root, machine)
    except OSError as error:
        raise InputError(f"the emulated phone could not be set up in {root}: {error}") from None
    phone = _ready(root, machine)
    if phone is None:
        raise InputError(f"the emulated phone at {root} changed while it was set up; set it up again")
    return phone


def _make(root: Path, machine: Host) -> None:
    with locked(root, say=tqdm.write) as lock:
        remove_unfinished(root)
        with tqdm(total=_STAGES, unit="stage", desc="phone-arm64") as bar:
            for stage in _stages(root, machine, lock):
                bar.set_postfix_str(stage.doing)
                ensure(root, stage)
                bar.update()
        write_json(root / "phone.json", _record(root))
        shutil.rmtree(root / "work", ignore_errors=True)


def existing() -> Phone | None:
    """The emulated phone if it is set up for this machine's versions.

    Raises:
        InputError: When it cannot be had on this machine.
    """
    return _ready(phone_directory(), detect())


def _ready(root: Path, machine: Host) -> Phone | None:
    if not (root / "phone.json").is_file():
        return None
    if not all(is_done(root, stage) for stage in _stages(root, machine, lock=-1)):
        return None
    return Phone(_guest(root), read_json(root / "phone.json")["versions"])


def _stages(root: Path, machine: Host, lock: int) -> Iterator[Stage]:
    """The stages in order; each is described when the ones before it are done, since its inputs are their outcome."""
    work = root / "work"

    def tree(name: str) -> object:
        return stage_record(root, name).get("tree")

    def packages(folder: Path) -> None:
        sources = archive_sources(read_sources(), machine.codename, "arm64")
        for path in _download_packages(work / "guest", [s.stanza("arm64", s.suites) for s in sources], lock):
            shutil.copy(path, folder / path.name)

    def emulator(folder: Path) -> None:
        sources = archive_sources(read_sources(), machine.codename, machine.architecture)
        qemu.fetch(folder, work, machine, sources, lock)

    def sysroot(folder: Path) -> None:
        guest.unpack(root / "packages", folder, own_cpuinfo=own_cpuinfo)
        emulated = guest.Guest(_emulator(root), _core(root), folder, folder).command
        guest.byte_compile(folder / "usr" / "lib", guest.python_version(folder), emulated)

    def download_wheels(folder: Path) -> None:
        wheels.download(folder, work, versions, guest.python_version(root / "sysroot"), lock)

    def site(folder: Path) -> None:
        wheels.unpack(root / "wheels", folder)
        guest.byte_compile(folder, guest.python_version(root / "sysroot"), _guest(root).command)

    def trial(folder: Path) -> None:
        write_text(folder / "versions.json", _guest(root).trial())

    versions = installed_versions(RUNTIME_PACKAGES)
    found = qemu.on_path()
    if found is None:
        yield Stage("emulator", "downloading the emulator", [_RECIPE, machine.codename], emulator)
    yield Stage("packages", "downloading ARM64 packages", [_RECIPE, machine.codename, guest.PACKAGES], packages)
    own_cpuinfo = qemu.PHONE_CORE not in qemu.processors(_emulator(root))
    yield Stage("sysroot", "unpacking the system", [_RECIPE, tree("packages"), own_cpuinfo], sysroot)
    yield Stage("wheels", "downloading the runtimes", [_RECIPE, versions, tree("sysroot")], download_wheels)
    yield Stage("site", "unpacking the runtimes", [_RECIPE, tree("wheels"), tree("sysroot")], site)
    emulator_is = tree("emulator") if found is None else [str(found), qemu.version(found)]
    yield Stage("trial", "starting it", [_RECIPE, tree("site"), tree("sysroot"), emulator_is], trial)


def _download_packages(work: Path, stanzas: Sequence[str], lock: int) -> list[Path]:
    if not stanzas:
        raise InputError(
            "this machine's apt sources name no archive of its release with component main that may serve arm64; "
            "add one (on Ubuntu the archive for arm64 is the one of its 'ports'), then try again"
        )
    try:
        apt = AptRoot(work, "arm64", stanzas, lock)
        apt.update()
        return apt.install_download(guest.PACKAGES)
    except InputError as error:
        raise InputError(
            "the archives that this machine's apt uses did not give arm64 packages. Without network, try again later; "
            "on Ubuntu, whose arm64 packages are on a 'ports' archive, add that one with `Architectures: arm64` to "
            f"this machine's apt sources. {error}"
        ) from None


def _emulator(root: Path) -> Path:
    return qemu.on_path() or root / "emulator" / "qemu-aarch64"


def _core(root: Path) -> str:
    return qemu.core(_emulator(root), qemu.PHONE_CORE)


def _guest(root: Path) -> guest.Guest:
    return guest.Guest(_emulator(root), _core(root), root / "sysroot", root / "site")


def _record(root: Path) -> dict[str, object]:
    """Everything that was downloaded, by digest, and what it is."""
    emulator = _emulator(root)
    downloads = [*sorted((root / "packages").glob("*.deb")), *sorted((root / "wheels").glob("*.whl"))]
    return {
        "versions": {
            **json.loads((root / "trial" / "versions.json").read_text(encoding="utf-8")),
            "emulator": f"QEMU {qemu.version(emulator)} (user mode)",
        },
        "sha256": {"qemu-aarch64": sha256_file(emulator), **{path.name: sha256_file(path) for path in downloads}},
        "trees": {name: stage_record(root, name)["tree"] for name in ("packages", "sysroot", "wheels", "site")},
    }
