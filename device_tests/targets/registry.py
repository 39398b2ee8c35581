"""Targets by name."""

from __future__ import annotations

from device_tests.targets import emulated_phone
from device_tests.targets.desktop import Desktop
from device_tests.targets.target import Target
from hetero.errors import InputError

DESCRIPTIONS = {
    "desktop": "this machine, with its own ONNX Runtime and LiteRT",
    "phone-arm64": "an emulated ARM64 phone (cortex-a55); phone-arm64:CORE for another processor, such as max",
}


def target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        InputError: When there is none.
    """
    kind, _, core = name.partition(":")
    if name == "desktop":
        return Desktop()
    if kind == emulated_phone.NAME and (core or name == kind):
        return emulated_phone.EmulatedPhone(core)
    raise InputError(f"no target {name!r}; the targets are:", [f"{key}: {text}" for key, text in DESCRIPTIONS.items()])
