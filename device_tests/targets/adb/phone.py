"""An attached Android phone or emulator."""

from __future__ import annotations

from collections.abc import Mapping

from device_tests.targets.adb import client
from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.adb.device import Device
from device_tests.targets.emulated.runtime_folder import runtime_folder
from device_tests.targets.emulated.systems import AMD64, ARM64, System
from device_tests.targets.target import Progress, Request, Returned, Timed, Timing
from hetero.errors import InputError

PREFIX = "adb"
_MACHINES = {"aarch64": ARM64, "x86_64": AMD64}
_PROPERTIES = {
    "phone": "ro.product.manufacturer ro.product.model",
    "processor": "ro.soc.manufacturer ro.soc.model",
    "android": "ro.build.version.release",
    "build": "ro.build.fingerprint",
}


class AndroidPhone:
    """The target ``adb:SERIAL``.

    Args:
        serial: The serial, as ``adb devices`` lists it.
    """

    emulated = False
    counting = False

    def __init__(self, serial: str) -> None:
        self.name = f"{PREFIX}:{serial}"
        self._serial = serial
        self._device: Device | None = None
        self._about: Mapping[str, str] = {}

    @property
    def runtimes(self) -> Mapping[str, str]:
        """The runtimes of a current phone."""
        return ARM64.runtimes

    def set_up(self) -> None:
        """Find the device, and prepare on this machine the folder for its processor.

        Raises:
            InputError: If there is no usable device, with advice.
        """
        adb = self._adb()
        adb.require()
        machine = adb.shell("uname -m").strip()
        system = _MACHINES.get(machine)
        if system is None:
            raise DeviceError(f"the device {self._serial} has a processor {machine}; expected {' or '.join(_MACHINES)}")
        folder = runtime_folder(system)
        self._about = _about(adb, system, folder.versions)
        self._device = Device(adb, folder, emulated=False)

    def state(self) -> str:
        """Return ``ready``; raise if it is not attached or cannot be used."""
        self._adb().require()
        return "ready"

    def describe(self) -> Mapping[str, str]:
        """Return model, system and versions."""
        self._ready()
        return self._about

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images on the device."""
        return self._ready().run(request, progress)

    def time(self, timing: Timing, progress: Progress) -> Timed:
        """Time models on the device."""
        return self._ready().time(timing, progress)

    def close(self) -> None:
        """Remove everything from the device."""
        if self._device is not None:
            self._device.close()

    def _adb(self) -> Adb:
        return Adb([client.find()], self._serial)

    def _ready(self) -> Device:
        if self._device is None:
            raise InputError(f"{self.name} is not set up")
        return self._device


def _about(adb: Adb, system: System, versions: Mapping[str, str]) -> dict[str, str]:
    properties = {name: " ".join(f"$(getprop {key})" for key in keys.split()) for name, keys in _PROPERTIES.items()}
    lines = adb.shell("; ".join(f'echo "{value}"' for value in properties.values()) + "; uname -srm").splitlines()
    lines += [""] * (len(properties) + 1 - len(lines))
    about = {name: value.strip() for name, value in zip([*properties, "kernel"], lines, strict=False) if value.strip()}
    runtimes = " and ".join(f"{name} {versions[name]}" for name in system.engines)
    return {
        **about,
        **{name: versions[name] for name in ("python", "libc", *system.distributions)},
        "certifies": f"what the CPU kernels of {runtimes}, built for Linux, compute on this device's own processor",
        "leaves open": "these runtimes' Android builds, Android's own image decoders, NNAPI, GPU and NPU delegates, "
        "and an app's limits of memory",
    }
