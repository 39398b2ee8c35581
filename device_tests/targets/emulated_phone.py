"""An ARM64 phone without a phone: the real ARM kernels of both runtimes on emulated cores.

It is ARM64 Linux with glibc, not Android: no bionic, NNAPI, GPU or NPU, and its times are the emulator's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from device_tests.targets import phone_setup, qemu
from device_tests.targets.process import run_process
from device_tests.targets.target import Progress, Request, Returned
from hetero.errors import InputError

NAME = "phone-arm64"


class EmulatedPhone:
    """The target ``phone-arm64``, or ``phone-arm64:CORE`` for another processor than the default.

    Args:
        core: A processor model of the emulator, for instance ``max``; empty for an ordinary phone's.
    """

    alone = False
    runtimes: Mapping[str, str] = MappingProxyType({"onnx": "onnxruntime", "litert": "litert"})

    def __init__(self, core: str = "") -> None:
        self.name = f"{NAME}:{core}" if core else NAME
        self._wanted = core or qemu.PHONE_CORE
        self._phone: phone_setup.Phone | None = None

    def set_up(self) -> None:
        """Set the phone up on first use: about a minute, then kept in the cache.

        Raises:
            InputError: When it cannot be had on this machine.
        """
        phone = phone_setup.set_up()
        core = qemu.core(phone.guest.emulator, self._wanted)
        self._phone = dataclasses.replace(phone, guest=dataclasses.replace(phone.guest, core=core))

    def state(self) -> str:
        """Whether it is set up in the cache."""
        if phone_setup.existing() is None:
            return "not set up yet: happens on first use, or by `hetero device setup`"
        return f"ready, in {phone_setup.phone_directory()}"

    def describe(self) -> Mapping[str, str]:
        """Emulated processor, emulator, system and versions."""
        phone = self._ready()
        versions = dict(phone.versions)
        system = f"Linux {versions.pop('machine')}, {versions.pop('libc')}"
        return {"processor": f"{phone.guest.core} (emulated)", "system": system, **versions}

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images under the emulator."""
        guest = self._ready().guest
        return run_process(guest.command, guest.environment, request, progress, emulated=True)

    def close(self) -> None:
        """Nothing goes on running."""

    def _ready(self) -> phone_setup.Phone:
        if self._phone is None:
            raise InputError(f"{self.name} is not set up")
        return self._phone
