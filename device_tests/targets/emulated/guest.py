"""An unpacked ARM system: its files, and the command that runs its programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_tests.targets.emulated.systems import System
from device_tests.targets.job import clean_environment
from hetero.errors import InputError
from hetero.processes import children
from hetero.storage.scratch import scratch_folder

# An older emulator passes on the host's /proc/cpuinfo, and ONNX Runtime crashes on reading an x86 one.
_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0b
CPU revision\t: 1

"""


@dataclass(frozen=True)
class Guest:
    """A system that runs under the emulator, or natively if this machine has its processor.

    Attributes:
        system: Its description.
        emulator: The program that runs it; ignored where it runs natively.
        core: The processor model; ignored likewise.
        sysroot: The unpacked system.
        site: Its Python packages.
    """

    system: System
    emulator: Path
    core: str
    sysroot: Path
    site: Path

    @property
    def command(self) -> list[str | Path]:
        """The command for the guest's Python, without arguments; it writes no byte code into the folders."""
        major, minor = python_version(self.sysroot)
        python = self.sysroot / "usr" / "bin" / f"python{major}.{minor}"
        if not self.system.emulator:
            return [*_loader(self.sysroot), python, "-B", "-s"]
        folders = ":".join(str(self.sysroot / folder) for folder in self.system.libraries)
        # Set for the guest alone: in the environment it would affect the emulator.
        libraries = ["-E", f"LD_LIBRARY_PATH={folders}"] if folders else []
        return [self.emulator, "-cpu", self.core, "-L", self.sysroot, *libraries, python, "-B", "-s"]

    @property
    def environment(self) -> Mapping[str, str]:
        """The guest's whole environment."""
        return clean_environment(PYTHONPATH=str(self.site), LANG="C.UTF-8")

    def trial(self) -> str:
        """Import the runtimes in the guest; return their versions as JSON.

        Raises:
            InputError: If that fails.
        """
        return tried(self.system, self.command, self.environment, failing="cannot import its runtimes")


def tried(system: System, command: Sequence[str | Path], environment: Mapping[str, str], *, failing: str) -> str:
    """Import a system's runtimes; return their versions as JSON.

    Args:
        system: The system.
        command: Starts its Python.
        environment: The whole environment.
        failing: The message for a failure.

    Raises:
        InputError: If the import fails.
    """
    with scratch_folder("trial") as scratch:  # runtimes leave files there
        own = {**environment, "TMPDIR": str(scratch)}
        trial = [*command, "-c", system.trial]
        completed = children.run(trial, variables=own, timeout=600.0)
    if completed.returncode:
        last_lines = completed.stderr.splitlines()[-5:]
        raise InputError(f"{system.name} {failing} (status {completed.returncode}):", last_lines)
    return completed.stdout


def _loader(sysroot: Path) -> list[str | Path]:
    """Return the command that starts a program with the C library of its own system instead of this machine's."""
    folders = [folder for place in ("lib", "usr/lib") for folder in sorted((sysroot / place).glob("*-linux-gnu"))]
    loaders = [path for folder in folders for path in folder.glob("ld-linux*") if not path.is_symlink()]
    if not loaders:
        raise InputError(f"no dynamic loader was unpacked below {sysroot}; delete the folder and set up again")
    return [loaders[0], "--library-path", ":".join(map(str, folders))]


def add_cpuinfo(sysroot: Path) -> None:
    """Give the guest an ARM processor's ``/proc/cpuinfo``, for an emulator without one of its own."""
    (sysroot / "proc").mkdir(exist_ok=True)
    (sysroot / "proc" / "cpuinfo").write_text(_CPUINFO, encoding="ascii")


def byte_compile(folder: Path, python: tuple[int, int], emulated: Sequence[str | Path]) -> None:
    """Byte-compile once, so that no run has to: an import under emulation then takes seconds, not tens.

    Byte code does not depend on the processor, so this machine's Python does it if it is the same version.
    Modules that do not compile (tests of syntax errors) are left unchanged.

    Args:
        folder: The modules' folder.
        python: The guest's version.
        emulated: The guest's Python, used if the versions differ.
    """
    command = children.python() if sys.version_info[:2] == python else list(emulated)
    # Unchecked: the modules never change, and reading their times costs system calls.
    options = ["-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder)]
    children.run([*command, "-m", "compileall", *options, str(folder)])


def python_version(sysroot: Path) -> tuple[int, int]:
    """Return the version of the Python inside a sysroot.

    Raises:
        InputError: If there is none.
    """
    names = (path.name.removeprefix("python3.") for path in (sysroot / "usr" / "bin").glob("python3.*"))
    versions = sorted((3, int(name)) for name in names if name.isdigit())
    if not versions:
        raise InputError(f"no Python was unpacked below {sysroot}; delete the folder and set up again")
    return versions[-1]
