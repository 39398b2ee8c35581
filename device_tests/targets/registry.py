"""Targets by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from device_tests.targets.adb.phone import PREFIX as ADB
from device_tests.targets.adb.phone import AndroidPhone
from device_tests.targets.browser.target import Browser
from device_tests.targets.desktop import Desktop
from device_tests.targets.emulated.phone import EmulatedPhone
from device_tests.targets.emulated.systems import SYSTEMS
from device_tests.targets.macos import NAME as MACOS
from device_tests.targets.macos import MacOs
from device_tests.targets.system.setup import NAME as PHONE_SYSTEM
from device_tests.targets.system.target import COUNTING, PhoneSystem
from device_tests.targets.target import Stopwatch, Target
from hetero.errors import InputError

DESCRIPTIONS = {
    "desktop": "this machine, with its own ONNX Runtime and LiteRT, and a reference executor for Core ML",
    "phone-arm64": "an emulated ARM64 phone (cortex-a55); phone-arm64:CORE for another processor, such as max",
    "phone-armv7": "an emulated 32-bit phone (cortex-a7) with the old tflite-runtime 2.14",
    "phone-system": "a whole emulated ARM64 device with a kernel of its own, reached over ADB as a phone is; "
    "phone-system:count counts instructions",
    "adb:SERIAL": "an attached Android phone or emulator; `adb devices` lists the serial numbers",
    "browser": "ONNX Runtime Web and LiteRT for Web in a headless Chromium with a phone's viewport",
    "macos": "Apple's Core ML on a Mac; macos:cpu, macos:gpu or macos:ane for some compute units only",
}


def target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        InputError: When there is none.
    """
    if name == Browser.name:
        return Browser()
    if name in (PHONE_SYSTEM, COUNTING):
        return PhoneSystem(counting=name == COUNTING)
    kind, _, rest = name.partition(":")
    if kind == ADB and rest:
        return AndroidPhone(rest)
    if kind == MACOS and (rest or name == kind):
        return MacOs(rest or "all")
    if name == "desktop":
        return Desktop()
    if kind in SYSTEMS and (rest or name == kind):
        return EmulatedPhone(SYSTEMS[kind], rest)
    raise InputError(f"no target {name!r}; the targets are:", [f"{key}: {text}" for key, text in DESCRIPTIONS.items()])


def target_problems(names: Sequence[str]) -> list[str]:
    """One line for each name that no target has."""
    return [
        f"no target {name!r}{_hint(name)}; expected some of {', '.join(DESCRIPTIONS)}"
        for name in names
        if not _exists(name)
    ]


def emulated(names: Sequence[str]) -> list[str]:
    """Those of the targets that are emulated: slow to set up and to run, and never timed."""
    return [name for name in dict.fromkeys(names) if _exists(name) and target(name).emulated]


def _exists(name: str) -> bool:
    try:
        target(name)
    except InputError:
        return False
    return True


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name, DESCRIPTIONS, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def stopwatch(name: str) -> Stopwatch:
    """The target called ``name``, whose clock says something.

    Raises:
        InputError: When there is none, or its times would say nothing.
    """
    found = target(name)
    if not isinstance(found, Stopwatch) or (found.emulated and not found.counting):
        raise InputError(f"{name} cannot time models; desktop, adb:SERIAL and {COUNTING} can")
    return found
