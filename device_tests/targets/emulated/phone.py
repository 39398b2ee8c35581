"""A phone without hardware: the runtimes' real ARM kernels on emulated cores.

It is ARM Linux with glibc, not Android: no bionic, NNAPI, GPU or NPU, and its times are the emulator's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from device_tests.targets.emulated import qemu
from device_tests.targets.emulated import setup as phone_setup
from device_tests.targets.emulated.systems import System
from device_tests.targets.process import LocalRunner
from device_tests.targets.target import Progress, Request, Returned
from hetero.errors import InputError


class EmulatedPhone:
    """The target ``phone-arm64`` or ``phone-armv7``; with ``:CORE`` for a processor other than the default.

    Args:
        system: The system to run.
        core: A processor model of the emulator, for instance ``max``; empty for an ordinary phone's.
    """

    emulated = True

    def __init__(self, system: System, core: str = "") -> None:
        self.name = f"{system.name}:{core}" if core else system.name
        self.runtimes: Mapping[str, str] = system.runtimes
        self._system = system
        self._wanted = core or system.core
        self._phone: phone_setup.Phone | None = None
        self._runner: LocalRunner | None = None

    def set_up(self) -> None:
        """Set the phone up on first use, which takes about a minute; it is then kept in the cache.

        Raises:
            InputError: If it is unavailable on this machine.
        """
        phone = phone_setup.set_up(self._system)
        core = qemu.core(self._system, phone.guest.emulator, self._wanted)
        self._phone = dataclasses.replace(phone, guest=dataclasses.replace(phone.guest, core=core))
        guest = self._phone.guest
        self._runner = LocalRunner(guest.command, guest.environment, emulated=True)

    def state(self) -> str:
        """Return ``ready`` and the folder, or how to set it up."""
        if phone_setup.existing(self._system) is None:
            return f"not set up yet: happens on first use, or by `hetero device setup {self._system.name}`"
        return f"ready, in {phone_setup.phone_directory(self._system)}"

    def describe(self) -> Mapping[str, str]:
        """Return emulated processor, emulator, system and versions."""
        phone = self._ready()
        versions = dict(phone.versions)
        system = f"Linux {versions.pop('machine')}, {versions.pop('libc')}"
        about = {"processor": f"{phone.guest.core} (emulated)", "system": system, **versions}
        runtimes = " and ".join(f"{name} {versions[name]}" for name in self._system.engines)
        return {
            **about,
            "certifies": f"the {phone.guest.core} kernels of {runtimes}, and image decoding by their ARM libraries",
            "leaves open": "Android (this is Linux with glibc), NNAPI, GPU and NPU, speed and memory",
        }

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images under the emulator."""
        if self._runner is None:
            raise InputError(f"{self.name} is not set up")
        return self._runner.run(request, progress)

    def close(self) -> None:
        """End the emulated processes."""
        if self._runner is not None:
            self._runner.close()

    def _ready(self) -> phone_setup.Phone:
        if self._phone is None:
            raise InputError(f"{self.name} is not set up")
        return self._phone
