"""The program ``adb`` for one device: commands, and the meaning of its errors."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hetero.errors import InputError
from hetero.processes import children

PROGRAM = "HETERO_ADB"
"""Environment variable with the path of ``adb``, if it is not on PATH."""
_SDKS = ("ANDROID_HOME", "ANDROID_SDK_ROOT")
_PATIENCE = 900.0

_STATES = {
    "unauthorized": "has not authorised this computer: unlock it, allow USB debugging on its screen, and try again",
    "authorizing": "is being asked to authorise this computer: allow USB debugging on its screen, and try again",
    "offline": "is offline: unplug it and plug it in again, or restart it, then try again",
    "no permissions": "may not be used by this user: on Linux install udev rules for Android devices, and try again",
    "recovery": "is in recovery mode: start Android on it, and try again",
    "sideload": "is in sideload mode: start Android on it, and try again",
    "bootloader": "is in its boot loader: start Android on it, and try again",
}
_GONE = ("not found", "closed", "connection reset", "no devices", "device offline", "protocol fault", "cannot connect")


class DeviceError(InputError):
    """The device cannot be used, or is gone: nothing is known about the models that were to run on it."""


@dataclass(frozen=True)
class Adb:
    """``adb`` for one device.

    Attributes:
        program: The command that starts it, with its own options.
        serial: The device's serial, as ``adb devices`` lists it.
        environment: Further variables, beside those of this process.
    """

    program: Sequence[str | Path]
    serial: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """Return a command line for the device."""
        return [*self.program, "-s", self.serial, *arguments]

    @property
    def variables(self) -> Mapping[str, str]:
        """The whole environment of its processes."""
        return children.environment(**self.environment)

    def require(self) -> None:
        """Check that the device can be used.

        Raises:
            DeviceError: If it is missing or not ready, with advice.
        """
        devices = attached(self.program, self.variables)
        state = devices.get(self.serial)
        if state is None:
            others = ", ".join(f"{serial} ({state})" for serial, state in devices.items()) or "none"
            raise DeviceError(
                f"no device {self.serial} is attached; attached: {others}. Plug it in with USB debugging switched on, "
                "or connect to it with `adb connect`"
            )
        if state != "device":
            raise DeviceError(f"the device {self.serial} {_STATES.get(state, f'is not ready: adb calls it {state!r}')}")

    def shell(self, script: str) -> str:
        """Run a script in the device's shell, and return its standard output.

        Raises:
            DeviceError: If it fails, or the device is gone.
        """
        return self._run("shell", "-T", script)

    def push(self, files: Sequence[Path], to: str) -> None:
        """Copy files into a folder of the device, under their names.

        Raises:
            DeviceError: If it is gone or full.
        """
        self._run("push", *(file.absolute() for file in files), to)

    def pull(self, path: str, to: Path) -> None:
        """Copy a file, or a folder with its content, from the device.

        Raises:
            DeviceError: If it is gone, or has no such file.
        """
        self._run("pull", path, to)

    def failed(self, said: str) -> DeviceError:
        """Return the error for a message of ``adb`` or the device."""
        lowered = said.lower()
        if "no space left" in lowered:
            return DeviceError(
                f"the device {self.serial} has no space left in its storage for what verification needs: free some "
                f"space on it, and try again. It said: {said}"
            )
        for state, meaning in _STATES.items():
            if state in lowered:
                return DeviceError(f"the device {self.serial} {meaning}")
        if any(word in lowered for word in _GONE):
            return DeviceError(
                f"the device {self.serial} does not answer any more: plug it in and run the same command again, which "
                f"continues. adb said: {said}"
            )
        return DeviceError(f"the device {self.serial} answered: {said}")

    def _run(self, *arguments: str | Path) -> str:
        try:
            completed = children.run(self.command(*arguments), variables=self.variables, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise DeviceError(f"the device {self.serial} did not answer for {_PATIENCE:.0f} s") from None
        if completed.returncode:
            lines = [line for line in (completed.stderr + completed.stdout).splitlines() if line.strip()]
            raise self.failed("; ".join(lines[-3:]) or f"exit status {completed.returncode}")
        return completed.stdout


def find() -> Path:
    """Return the path of the program.

    Raises:
        InputError: If there is none.
    """
    path = os.environ.get(PROGRAM, "")
    sdks = [Path(os.environ[name]) / "platform-tools" / "adb" for name in _SDKS if os.environ.get(name)]
    for candidate in [path] if path else ["adb", *map(str, sdks)]:
        if found := children.which(candidate):
            return found
    if path:
        raise InputError(f"{PROGRAM} names {path}, which is no program")
    raise InputError(
        "no `adb` on PATH: install it (Debian's package adb, or Android's platform tools), or name it in the "
        f"environment variable {PROGRAM}"
    )


def attached(program: Sequence[str | Path], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the state of every attached device by its serial.

    Raises:
        DeviceError: If ``adb`` does not work here.
    """
    try:
        completed = children.run([*program, "devices"], variables=variables, timeout=60.0)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{program[-1]} does not run: {error}") from None
    if completed.returncode:
        raise DeviceError(f"`adb devices` failed with status {completed.returncode}: {completed.stderr.strip()[-300:]}")
    _, _, listed = completed.stdout.partition("List of devices attached")
    pairs = [line.split("\t", 1) for line in listed.splitlines() if "\t" in line]
    return {serial: _state(state) for serial, state in pairs}


def _state(told: str) -> str:
    return "no permissions" if told.startswith("no permissions") else told.split(maxsplit=1)[0]
