"""Targets by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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


@dataclass(frozen=True)
class Kind:
    """A kind of target; properties such as emulation belong to the target itself.

    Attributes:
        name: Name on the command line, up to a colon.
        line: Description in ``hetero device list``.
        make: Called with the text after the colon, if there is one.
        variant: The text that may follow it, in capitals for a placeholder; empty for nothing.
        needs_variant: True if such text is required.
        times_as: The name that models are timed under; empty if its clock says nothing about a processor.
    """

    name: str
    line: str
    make: Callable[..., Target]
    variant: str = ""
    needs_variant: bool = False
    times_as: str = ""

    @property
    def listed_as(self) -> str:
        """The name, with the variant that must follow it."""
        return f"{self.name}:{self.variant}" if self.needs_variant else self.name

    def called(self, name: str) -> Target | None:
        """Return the target of this kind called ``name``; None if there is none."""
        kind, colon, variant = name.partition(":")
        if not colon:
            return self.make() if kind == self.name and not self.needs_variant else None
        fits = bool(variant) and (self.variant.isupper() or variant == self.variant)
        return self.make(variant) if kind == self.name and fits else None


TARGETS: dict[str, Kind] = {}


def add_target(kind: Kind) -> None:
    """Register a kind of target, to be called by name.

    Raises:
        InputError: If there is another kind of this name.
    """
    if kind.name in TARGETS:
        raise InputError(f"there is a target {kind.name!r} already; expected another name")
    TARGETS[kind.name] = kind


def _phone_system(variant: str = "") -> PhoneSystem:
    return PhoneSystem(counting=bool(variant))


for _kind in (
    Kind(
        Desktop.name,
        "this machine, with its own ONNX Runtime, LiteRT and ExecuTorch, and a reference executor for Core ML",
        Desktop,
        times_as=Desktop.name,
    ),
    *(Kind(name, system.line, partial(EmulatedPhone, system), variant="CORE") for name, system in SYSTEMS.items()),
    Kind(
        PHONE_SYSTEM,
        "a whole emulated ARM64 device with a kernel of its own, reached over ADB as a phone is; "
        f"{COUNTING} counts instructions",
        _phone_system,
        variant=COUNTING.partition(":")[2],
        times_as=COUNTING,
    ),
    Kind(
        ADB,
        "an attached Android phone or emulator; `adb devices` lists the serial numbers",
        AndroidPhone,
        variant="SERIAL",
        needs_variant=True,
        times_as=f"{ADB}:SERIAL",
    ),
    Kind(
        Browser.name,
        "ONNX Runtime Web and LiteRT for Web in a headless Chromium with a phone's viewport",
        Browser,
    ),
    Kind(
        MACOS,
        "Apple's Core ML on a Mac; macos:cpu, macos:gpu or macos:ane for some compute units only",
        MacOs,
        variant="UNIT",
    ),
):
    add_target(_kind)


def target(name: str) -> Target:
    """Return the target called ``name``.

    Raises:
        InputError: If there is none.
    """
    kind = TARGETS.get(name.partition(":")[0])
    if kind and (match := kind.called(name)):
        return match
    lines = [f"{kind.listed_as}: {kind.line}" for kind in TARGETS.values()]
    raise InputError(f"no target {name!r}; the targets are:", lines)


def target_problems(names: Sequence[str]) -> list[str]:
    """Return one line for each name that no target has."""
    return [
        f"no target {name!r}{_hint(name)}; expected some of {', '.join(_listed())}"
        for name in names
        if not _exists(name)
    ]


def emulated(names: Sequence[str]) -> list[str]:
    """Return those of the targets that are emulated: slow to set up and to run, and never timed."""
    return [name for name in dict.fromkeys(names) if _exists(name) and target(name).emulated]


def _exists(name: str) -> bool:
    try:
        target(name)
    except InputError:
        return False
    return True


def _listed() -> list[str]:
    return [kind.listed_as for kind in TARGETS.values()]


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name, _listed(), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def stopwatch(name: str) -> Stopwatch:
    """Return the target called ``name``, if its times are meaningful.

    Raises:
        InputError: If there is none, or its times would say nothing.
    """
    match = target(name)
    if not isinstance(match, Stopwatch) or (match.emulated and not match.counting):
        able = [kind.times_as for kind in TARGETS.values() if kind.times_as]
        raise InputError(f"{name} cannot time models; expected one of {', '.join(able)}")
    return match
