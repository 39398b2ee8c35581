"""The unpacked ARM64 system: its files, and the command that runs a program of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_tests.targets.process import clean_environment
from hetero.errors import InputError

PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1")
"""What the runtimes' wheels need, beside what these depend on."""

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
_TRIAL = """\
import json, platform, numpy, onnxruntime, ai_edge_litert.interpreter, PIL.Image
from importlib.metadata import version
names = ("numpy", "onnxruntime", "ai-edge-litert", "pillow")
about = {"machine": platform.machine(), "python": platform.python_version(), "libc": " ".join(platform.libc_ver())}
print(json.dumps({**about, **{name: version(name) for name in names}}))
"""


@dataclass(frozen=True)
class Guest:
    """A system that runs under the emulator.

    Attributes:
        emulator: The program ``qemu-aarch64``.
        core: The processor model.
        sysroot: The unpacked system.
        site: Its Python packages.
    """

    emulator: Path
    core: str
    sysroot: Path
    site: Path

    @property
    def command(self) -> list[str | Path]:
        """Runs the guest's Python; append its arguments. No byte code is written, so the folders stay as set up."""
        major, minor = python_version(self.sysroot)
        python = self.sysroot / "usr" / "bin" / f"python{major}.{minor}"
        return [self.emulator, "-cpu", self.core, "-L", self.sysroot, python, "-B", "-s"]

    @property
    def environment(self) -> Mapping[str, str]:
        """The guest's whole environment."""
        return clean_environment(PYTHONPATH=str(self.site), LANG="C.UTF-8")

    def trial(self) -> str:
        """Import both runtimes in the guest; returns their versions as JSON.

        Raises:
            InputError: When that fails.
        """
        done = subprocess.run(
            [*self.command, "-c", _TRIAL],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            said = done.stderr.splitlines()[-5:]
            raise InputError(f"the emulated phone cannot import the runtimes (status {done.returncode}):", said)
        return done.stdout


def unpack(packages: Path, sysroot: Path, *, own_cpuinfo: bool) -> None:
    """Unpack debs.

    Args:
        packages: Folder of the debs.
        sysroot: Receives the files.
        own_cpuinfo: Whether the emulator needs a text of its own as ``/proc/cpuinfo``.
    """
    for path in sorted(packages.glob("*.deb")):
        done = subprocess.run(["dpkg", "-x", path, sysroot], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"dpkg -x {path.name} failed: {done.stderr.strip()}")
    if own_cpuinfo:
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
    command = [sys.executable] if sys.version_info[:2] == python else list(emulated)
    # Unchecked: the modules never change, and looking at their times costs system calls.
    options = ["-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder)]
    subprocess.run([*command, "-m", "compileall", *options, str(folder)], capture_output=True, check=False)


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
