"""Start and stop the emulated device, and a private ``adb`` that sees nothing else; all on loopback."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.system.image import DEVICE_PORT, STORAGE_MEGABYTES
from hetero.processes import children
from hetero.storage.scratch import scratch_folder

CORE = "cortex-a55"
_FAST = {"-smp": "2", "-accel": "tcg,thread=multi"}
_COUNTING = {"-smp": "1", "-accel": "tcg,thread=single", "-icount": "shift=0"}
_MEMORY_MEGABYTES = STORAGE_MEGABYTES + 700
_BOOT_SECONDS = 900.0
"""It takes 13 s on an idle machine, and minutes on a busy one."""


@dataclass(frozen=True)
class Image:
    """The software that the device starts.

    Attributes:
        kernel: A Linux kernel.
        initial_system: Its first file system.
    """

    kernel: Path
    initial_system: Path


@dataclass(frozen=True)
class Tools:
    """The emulator and ``adb``, unpacked: they are started by the loader of their own system.

    Attributes:
        folder: The folder that contains ``usr``.
    """

    folder: Path

    def emulator(self) -> list[str | Path]:
        """Return the command for the emulator."""
        return [*self._loader(), self.folder / "usr" / "bin" / "qemu-system-aarch64"]

    def adb(self) -> list[str | Path]:
        """Return the command for ``adb``."""
        return [*self._loader(), self.folder / "usr" / "lib" / "android-sdk" / "platform-tools" / "adb"]

    def versions(self) -> dict[str, str]:
        """Return the versions that they report."""
        emulator = re.search(r"version (\S+)", _said([*self.emulator(), "--version"]))
        adb = re.search(r"Version (\S+)", _said([*self.adb(), "version"]))
        return {
            "emulator": f"QEMU {emulator[1] if emulator else '?'} (full system)",
            "adb": adb[1] if adb else "?",
        }

    def _loader(self) -> list[str | Path]:
        libraries = self.folder / "usr" / "lib" / "x86_64-linux-gnu"
        return [libraries / "ld-linux-x86-64.so.2", "--library-path", f"{libraries}:{libraries / 'android'}"]


class Machine:
    """A device that is starting, or running.

    Args:
        image: The software that it starts.
        tools: The programs.
        counting: True if its clock counts instructions: a nanosecond each, on one core.

    Raises:
        DeviceError: If it does not start.
    """

    def __init__(self, image: Image, tools: Tools, *, counting: bool = False) -> None:
        self._held = contextlib.ExitStack()
        self._folder = self._held.enter_context(scratch_folder("device-system"))
        self._tethered: list[subprocess.Popen[bytes]] = []
        self._console = self._folder / "console.txt"
        try:
            port = _free_port()
            self._start(_emulation(tools, image, self._console, port, counting), "emulator.txt", {})
            self.adb = self._connect(tools, port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Switch the device off."""
        for process in reversed(self._tethered):
            assert process.stdin is not None
            process.stdin.close()
        for process in self._tethered:
            process.wait()
        self._tethered = []
        self._held.close()

    def _connect(self, tools: Tools, port: int) -> Adb:
        home = self._folder
        server = f"localfilesystem:{home / 'adb'}"
        # A server of its own, without the user's keys, devices and emulators, and reachable by a file alone.
        environment = {"HOME": str(home), "TMPDIR": str(home), "ADB_SERVER_SOCKET": server}
        quiet = {"ADB_MDNS_AUTO_CONNECT": "0", "ADB_LOCAL_TRANSPORT_MAX_PORT": "5554"}
        command = [*tools.adb(), "-L", server, "--one-device", "none", "server", "nodaemon"]
        self._start(command, "adb.txt", {**environment, **quiet})
        adb = Adb(tools.adb(), f"127.0.0.1:{port}", environment)
        deadline = time.monotonic() + _BOOT_SECONDS
        while time.monotonic() < deadline and all(process.poll() is None for process in self._tethered):
            if (home / "adb").exists() and self._answers(adb):
                return adb
            time.sleep(0.5)
        raise DeviceError(f"the emulated device did not start: {self._last_words()}")

    def _answers(self, adb: Adb) -> bool:
        if b"the system is up" not in self._said("console.txt"):
            return False
        children.run([*adb.program, "connect", adb.serial], variables=adb.variables)
        try:
            return adb.shell("echo up").strip() == "up"
        except DeviceError:
            return False

    def _start(self, command: Sequence[str | Path], log: str, environment: dict[str, str]) -> None:
        folder = self._folder
        with (folder / log).open("wb") as stream:
            self._tethered.append(
                children.tethered(
                    command,
                    folder=folder,
                    variables={"PATH": "/usr/bin:/bin", **environment},
                    stdout=stream,
                    stderr=stream,
                    leaves=folder,
                )
            )

    def _said(self, log: str) -> bytes:
        path = self._folder / log
        return path.read_bytes() if path.is_file() else b""

    def _last_words(self) -> str:
        words = (self._said(log).decode(errors="replace").strip() for log in ("emulator.txt", "adb.txt", "console.txt"))
        return "; ".join(text.splitlines()[-1] for text in words if text) or "it said nothing"


@contextlib.contextmanager
def running(image: Image, tools: Tools) -> Generator[Adb]:
    """Start a device that is switched off at the end."""
    machine = Machine(image, tools)
    try:
        yield machine.adb
    finally:
        machine.stop()


def _emulation(tools: Tools, image: Image, console: Path, port: int, counting: bool) -> list[str | Path]:
    # The guest has no network, and only this machine can reach it.
    network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:{DEVICE_PORT}"
    options = {
        "-M": "virt",
        "-cpu": CORE,
        "-m": str(_MEMORY_MEGABYTES),
        "-kernel": str(image.kernel),
        "-initrd": str(image.initial_system),
        "-append": "console=ttyAMA0 panic=-1",
        "-serial": f"file:{console}",
        "-netdev": network,
        "-device": "virtio-net-pci,netdev=net,romfile=",
        # Idle time passes as on other machines: connections to the outside would time out otherwise.
        **(_COUNTING if counting else _FAST),
    }
    return [
        *tools.emulator(),
        *(word for pair in options.items() for word in pair),
        "-nodefaults",
        "-nographic",
        "-no-reboot",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _said(command: Sequence[str | Path]) -> str:
    return children.run(command, timeout=60.0).stdout
