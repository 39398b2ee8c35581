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
    """A kind of target; what it says of itself, such as whether it is emulated, the target says.

    Attributes:
        name: As on the command line, to a colon.
        line: Of ``hetero device list``.
        make: Called with what follows the colon, where something does.
        variant: What may follow it, in capitals where it stands for anything; empty for nothing.
        needs_variant: True if something must.
        times_as: The name that models are timed under; empty where its clock says nothing of a processor.
    """

    name: str
    line: str
    make: Callable[..., Target]
    variant: str = ""
    needs_variant: bool = False
    times_as: str = ""

    @property
    def listed_as(self) -> str:
        """The name, with what must follow it."""
        return f"{self.name}:{self.variant}" if self.needs_variant else self.name

    def called(self, name: str) -> Target | None:
        """The target of this kind that is called ``name``; None when none is."""
        kind, colon, variant = name.partition(":")
        if not colon:
            return self.make() if kind == self.name and not self.needs_variant else None
        fits = bool(variant) and (self.variant.isupper() or variant == self.variant)
        return self.make(variant) if kind == self.name and fits else None


TARGETS: dict[str, Kind] = {}


def add_target(kind: Kind) -> None:
    """Let targets of a kind be called by name.

    Raises:
        InputError: When there is another kind of this name.
    """
    if kind.name in TARGETS:
        raise InputError(f"there is a target {kind.name!r} already; expected another name")
    TARGETS[kind.name] = kind


def _phone_system(variant: str = "") -> PhoneSystem:
    return PhoneSystem(counting=bool(variant))


for _kind in (
    Kind(
        Desktop.name,
        "this machine, with its own ONNX Runtime and LiteRT, and a reference executor for Core ML",
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
    """The target called ``name``.

    Raises:
        InputError: When there is none.
    """
    kind = TARGETS.get(name.partition(":")[0])
    if kind and (found := kind.called(name)):
        return found
    lines = [f"{kind.listed_as}: {kind.line}" for kind in TARGETS.values()]
    raise InputError(f"no target {name!r}; the targets are:", lines)


def target_problems(names: Sequence[str]) -> list[str]:
    """One line for each name that no target has."""
    return [
        f"no target {name!r}{_hint(name)}; expected some of {', '.join(_listed())}"
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


def _listed() -> list[str]:
    return [kind.listed_as for kind in TARGETS.values()]


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name, _listed(), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def stopwatch(name: str) -> Stopwatch:
    """The target called ``name``, whose clock says something.

    Raises:
        InputError: When there is none, or its times would say nothing.
    """
    found = target(name)
    if not isinstance(found, Stopwatch) or (found.emulated and not found.counting):
        able = [kind.times_as for kind in TARGETS.values() if kind.times_as]
        raise InputError(f"{name} cannot time models; expected one of {', '.join(able)}")
    return found
