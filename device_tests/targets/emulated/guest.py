"""An unpacked ARM system: its files, and the command that runs a program of it."""

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

# An older emulator hands out the host's /proc/cpuinfo, and ONNX Runtime crashes on reading an x86 one.
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
    """A system that runs under the emulator, or natively where this machine has its processor.

    Attributes:
        system: What it is.
        emulator: The program that runs it; not looked at where there is none.
        core: The processor model, likewise.
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
        """Runs the guest's Python; append its arguments. No byte code is written, so the folders stay as set up."""
        major, minor = python_version(self.sysroot)
        python = self.sysroot / "usr" / "bin" / f"python{major}.{minor}"
        if not self.system.emulator:
            return [*_loader(self.sysroot), python, "-B", "-s"]
        folders = ":".join(str(self.sysroot / folder) for folder in self.system.libraries)
        # Given to the guest alone: in the environment it would reach into the emulator.
        libraries = ["-E", f"LD_LIBRARY_PATH={folders}"] if folders else []
        return [self.emulator, "-cpu", self.core, "-L", self.sysroot, *libraries, python, "-B", "-s"]

    @property
    def environment(self) -> Mapping[str, str]:
        """The guest's whole environment."""
        return clean_environment(PYTHONPATH=str(self.site), LANG="C.UTF-8")

    def trial(self) -> str:
        """Import the runtimes in the guest; returns their versions as JSON.

        Raises:
            InputError: When that fails.
        """
        return tried(self.system, self.command, self.environment, failing="cannot import its runtimes")


def tried(system: System, command: Sequence[str | Path], environment: Mapping[str, str], *, failing: str) -> str:
    """Import a system's runtimes; returns their versions as JSON.

    Args:
        system: Whose.
        command: Starts its Python.
        environment: The whole environment.
        failing: What it means when that fails.

    Raises:
        InputError: When it does.
    """
    with scratch_folder("trial") as scratch:  # Runtimes leave files there.
        own = {**environment, "TMPDIR": str(scratch)}
        trial = [*command, "-c", system.trial]
        done = children.run(trial, variables=own, timeout=600.0)
    if done.returncode:
        said = done.stderr.splitlines()[-5:]
        raise InputError(f"{system.name} {failing} (status {done.returncode}):", said)
    return done.stdout


def _loader(sysroot: Path) -> list[str | Path]:
    """Start a program with the C library of its own system instead of this machine's."""
    folders = [folder for place in ("lib", "usr/lib") for folder in sorted((sysroot / place).glob("*-linux-gnu"))]
    loaders = [path for folder in folders for path in folder.glob("ld-linux*") if not path.is_symlink()]
    if not loaders:
        raise InputError(f"no dynamic loader was unpacked below {sysroot}; delete the folder and set up again")
    return [loaders[0], "--library-path", ":".join(map(str, folders))]


def add_cpuinfo(sysroot: Path) -> None:
    """Give the guest a ``/proc/cpuinfo`` of an ARM processor, for an emulator that has none of its own."""
    (sysroot / "proc").mkdir(exist_ok=True)
    (sysroot / "proc" / "cpuinfo").write_text(_CPUINFO, encoding="ascii")


def byte_compile(folder: Path, python: tuple[int, int], emulated: Sequence[str | Path]) -> None:
    """Byte-compile once, so that no run has to: importing under emulation takes seconds instead of tens of them.

    Byte code does not depend on the processor, so this machine's Python does it when it is the same version.
    Modules that do not compile (tests of syntax errors) are left as they are.

    Args:
        folder: Holds the modules.
        python: The guest's version.
        emulated: The guest's Python, for when the versions differ.
    """
    command = children.python() if sys.version_info[:2] == python else list(emulated)
    # Unchecked: the modules never change, and looking at their times costs system calls.
    options = ["-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder)]
    children.run([*command, "-m", "compileall", *options, str(folder)])


def python_version(sysroot: Path) -> tuple[int, int]:
    """The version of the Python inside a sysroot.

    Raises:
        InputError: When there is none.
    """
    names = (path.name.removeprefix("python3.") for path in (sysroot / "usr" / "bin").glob("python3.*"))
    versions = sorted((3, int(name)) for name in names if name.isdigit())
    if not versions:
        raise InputError(f"no Python was unpacked below {sysroot}; delete the folder and set up again")
    return versions[-1]
