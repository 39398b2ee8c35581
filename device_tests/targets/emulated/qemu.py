"""An emulator of ARM processors: one on PATH, or else unpacked from the distribution's own package."""

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
# Releases whose own emulator lacks the default core, and a release of the same archive that has it.
_OLD_RELEASES, _NEWER_RELEASE = ("bullseye", "bookworm"), "trixie"


def processors(program: Path) -> tuple[str, ...]:
    """Return the processor models that an emulator knows; empty if it does not run here."""
    try:
        completed = children.run([program, "-cpu", "help"], timeout=30.0)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    words = re.findall(r"[a-z0-9][\w-]*", completed.stdout.lower())
    return tuple(word for word in words if word.startswith(("cortex-a", "neoverse", "a64fx")) or word == "max")


def version(program: Path) -> str:
    """Return the emulator's version, for instance ``10.0.13``."""
    output = children.run([program, "--version"], check=True).stdout
    match = re.search(r"version (\S+)", output)
    return match[1] if match else output.splitlines()[0]


def on_path(system: System) -> Path | None:
    """Return a new enough emulator on PATH, or None."""
    for name in _names(system):
        program = children.which(name)
        if program and system.core in processors(program):
            return program
    return None


def _names(system: System) -> tuple[str, str]:
    return system.emulator, f"{system.emulator}-static"


def fetch(system: System, folder: Path, work: Path, host: Host, sources: Sequence[Source], lock: int) -> None:
    """Download the emulator's package and keep only the program.

    Args:
        system: The system that it is to run.
        folder: The folder for the program.
        work: A folder kept between calls, so that downloads resume.
        host: This machine.
        sources: This machine's archives for its own architecture.
        lock: File descriptor that children inherit.

    Raises:
        InputError: If no package has a program that runs here.
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
    """Return the processor model to emulate: ``wanted``, or the nearest to the default that an older emulator knows.

    Raises:
        InputError: If a model other than the default is requested and unknown.
    """
    models = processors(program)
    if wanted in models:
        return wanted
    for other in system.older_cores:
        if wanted == system.core and other in models:
            return other
    raise InputError(f"the emulator has no processor {wanted!r}; it has {', '.join(models)}")


def _releases(host: Host) -> tuple[str, ...]:
    return (_NEWER_RELEASE, host.codename) if host.codename in _OLD_RELEASES else (host.codename,)


def _asked(sources: Sequence[Source], suites: Sequence[str]) -> Sequence[Source]:
    """Return the archives to use: for another release only the main one, as updates and security may be elsewhere."""
    return sources[:1] if suites else sources


def _extract(package: Path, program: Path, names: Sequence[str]) -> None:
    """Extract one file from a deb, without unpacking the hundreds of megabytes around it."""
    members = {f"./usr/bin/{name}" for name in names}
    command = ["dpkg-deb", "--fsys-tarfile", package]
    with children.start(command, folder=package.parent, stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() and member.name in members else None
                if content is not None:
                    program.write_bytes(content.read())
                    program.chmod(0o755)
                    break
        unpacking.stdout.close()
        unpacking.terminate()
    if not program.is_file():
        raise InputError(f"{package.name} holds no {program.name}")
