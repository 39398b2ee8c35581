"""The target ``phone-system``: a whole emulated device, reached as an attached phone is."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Mapping

from device_tests.targets.adb.client import DeviceError
from device_tests.targets.adb.device import Device
from device_tests.targets.emulated.runtime_folder import RuntimeFolder, runtime_folder
from device_tests.targets.emulated.systems import ARM64
from device_tests.targets.system import setup
from device_tests.targets.system.machine import Machine
from device_tests.targets.target import Progress, Request, Returned, Timed, Timing
from hetero.errors import InputError

COUNTING = f"{setup.NAME}:count"
"""The name of the target that counts instructions."""


class PhoneSystem:
    """An ARM64 system on two emulated cores, with a kernel and a real ``adbd``; started when it is first needed.

    Args:
        counting: True if it counts instructions instead of time, on one core: slower, but almost exactly repeatable.
    """

    emulated = True

    def __init__(self, *, counting: bool = False) -> None:
        self.name = COUNTING if counting else setup.NAME
        self.counting = counting
        # Beside another model, a shared clock would count that model's instructions, too.
        self._turn = threading.Lock() if counting else contextlib.nullcontext()
        self._lock = threading.Lock()
        self._made: tuple[setup.SetUp, RuntimeFolder] | None = None
        self._machine: Machine | None = None
        self._device: Device | None = None

    @property
    def runtimes(self) -> Mapping[str, str]:
        """The runtimes of a current phone."""
        return ARM64.runtimes

    def set_up(self) -> None:
        """Set it up on first use, about two minutes and 450 MB beside ``phone-arm64``'s; it is then kept in the cache.

        Raises:
            InputError: If it is unavailable on this machine.
        """
        self._made = setup.set_up(), runtime_folder(ARM64)

    def state(self) -> str:
        """Return ``ready`` and the folder, or how to set it up."""
        if setup.existing() is None:
            return f"not set up yet: happens on first use, or by `hetero device setup {setup.NAME}`"
        return f"ready, in {setup.directory()}"

    def describe(self) -> Mapping[str, str]:
        """Return emulated processor, kernel and versions."""
        software, folder = self._ready()
        versions = {name: folder.versions[name] for name in ("python", "libc", *ARM64.distributions)}
        return {
            **software.versions,
            **({"clock": "a nanosecond an instruction"} if self.counting else {}),
            **versions,
            "certifies": "that the bundle runs over ADB on a device with an ARM64 kernel of its own, and what "
            + " and ".join(f"{name} {versions[name]}" for name in ARM64.engines)
            + " compute there",
            "leaves open": "Android (this is Linux with glibc), NNAPI, GPU and NPU, speed and memory",
        }

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images on the device."""
        try:
            device = self._started()
        except DeviceError as error:
            return Returned(error=str(error), not_verified=True, emulated=True)
        with self._turn:
            returned = device.run(request, progress)
        return dataclasses.replace(returned, counts_instructions=self.counting)

    def time(self, timing: Timing, progress: Progress) -> Timed:
        """Time models, in nanoseconds as a count of instructions if it counts them; meaningless otherwise."""
        with self._turn:
            return self._started().time(timing, progress)

    def close(self) -> None:
        """Remove everything from the device and switch it off."""
        if self._device is not None:
            self._device.close()
        if self._machine is not None:
            self._machine.stop()
        self._device = self._machine = None

    def _started(self) -> Device:
        software, folder = self._ready()
        with self._lock:
            if self._device is None:
                self._machine = Machine(software.image, software.tools, counting=self.counting)
                self._device = Device(self._machine.adb, folder, emulated=True)
            return self._device

    def _ready(self) -> tuple[setup.SetUp, RuntimeFolder]:
        if self._made is None:
            raise InputError(f"{self.name} is not set up")
        return self._made
