"""An emulator of ARM processors: one on PATH, else the distribution's own package, unpacked."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from device_tests.targets.debian.apt_root import AptRoot
from device_tests.targets.debian.apt_sources import Source
from device_tests.targets.emulated.systems import System
from device_tests.targets.host import Host
from hetero.errors import InputError
from hetero.processes import children

_PACKAGES = ("qemu-user", "qemu-user-static")
# The releases whose own emulator lacks the default core, and a release of the same archive that has it.
_OLD_RELEASES, _NEWER_RELEASE = ("bullseye", "bookworm"), "trixie"


def processors(program: Path) -> tuple[str, ...]:
    """The processor models that an emulator knows; empty when it does not run here."""
    try:
        done = children.run([program, "-cpu", "help"], timeout=30.0)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    words = re.findall(r"[a-z0-9][\w-]*", done.stdout.lower())
    return tuple(word for word in words if word.startswith(("cortex-a", "neoverse", "a64fx")) or word == "max")


def version(program: Path) -> str:
    """The emulator's version, for instance ``10.0.13``."""
    said = children.run([program, "--version"], check=True).stdout
    found = re.search(r"version (\S+)", said)
    return found[1] if found else said.splitlines()[0]


def on_path(system: System) -> Path | None:
    """A new enough emulator on PATH, if there is one."""
    for name in _names(system):
        found = children.which(name)
        if found and system.core in processors(found):
            return found
    return None


def _names(system: System) -> tuple[str, str]:
    return system.emulator, f"{system.emulator}-static"


def fetch(system: System, folder: Path, work: Path, host: Host, sources: Sequence[Source], lock: int) -> None:
    """Download the emulator's package and keep the one program.

    Args:
        system: What it is to run.
        folder: Receives the program.
        work: Kept between calls, so that downloads continue.
        host: This machine.
        sources: Its archives for its own architecture.
        lock: Inherited by children.

    Raises:
        InputError: When no package has a program that runs here.
    """
    problems: list[str] = []
    for release in _releases(host):
        suites = [] if release == host.codename else [release]
        stanzas = [source.stanza(host.architecture, suites or source.suites) for source in _asked(sources, suites)]
        try:
            apt = AptRoot(work / f"emulator-{release}", host.architecture, stanzas, lock)
            apt.update()
        except InputError as error:
            problems.append(f"{release}: {error}")
            continue
        for package in _PACKAGES:
            try:
                _extract(apt.download(package), folder / system.emulator, _names(system))
            except InputError as error:
                problems.append(f"{package} of {release}: {error}")
                continue
            if processors(folder / system.emulator):
                return
            problems.append(f"{package} of {release}: its program does not run on this machine")
    raise InputError(
        f"no {system.emulator} could be had; install a qemu-user of version 8 or later, then try again:", problems
    )


def core(system: System, program: Path, wanted: str) -> str:
    """The processor model to emulate: ``wanted``, or the nearest that an older emulator knows for the default.

    Raises:
        InputError: When another model than the default is asked for and not known.
    """
    known = processors(program)
    if wanted in known:
        return wanted
    for other in system.older_cores:
        if wanted == system.core and other in known:
            return other
    raise InputError(f"the emulator has no processor {wanted!r}; it has {', '.join(known)}")


def _releases(host: Host) -> tuple[str, ...]:
    return (_NEWER_RELEASE, host.codename) if host.codename in _OLD_RELEASES else (host.codename,)


def _asked(sources: Sequence[Source], suites: Sequence[str]) -> Sequence[Source]:
    """For another release only the main archive is asked: updates and security may live elsewhere."""
    return sources[:1] if suites else sources


def _extract(package: Path, program: Path, names: Sequence[str]) -> None:
    """Take one file out of a deb, without unpacking the hundreds of megabytes around it."""
    wanted = {f"./usr/bin/{name}" for name in names}
    command = ["dpkg-deb", "--fsys-tarfile", package]
    with children.start(command, folder=package.parent, stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() and member.name in wanted else None
                if content is not None:
                    program.write_bytes(content.read())
                    program.chmod(0o755)
                    break
        unpacking.stdout.close()
        unpacking.terminate()
    if not program.is_file():
        raise InputError(f"{package.name} holds no {program.name}")
