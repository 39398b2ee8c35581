"""A description of this machine, as far as the emulated phone's setup depends on it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from hetero.errors import InputError
from hetero.processes import children


@dataclass(frozen=True)
class Host:
    """A Debian or Ubuntu machine.

    Attributes:
        distribution: ``debian``, ``ubuntu`` or a derivative.
        codename: Its release, for instance ``bookworm``.
        architecture: Debian's name of the processor architecture.
    """

    distribution: str
    codename: str
    architecture: str


def detect() -> Host:
    """Describe this machine.

    Raises:
        InputError: If the emulated phone cannot be set up on it, with every reason.
    """
    release = _os_release()
    tools = {name for name in ("apt-get", "apt-config", "dpkg", "dpkg-deb") if children.which(name)}
    return check(sys.platform, platform.machine(), release, tools)


def check(system: str, machine: str, release: Mapping[str, str], tools: set[str]) -> Host:
    """Check that the emulated phone can be set up.

    Args:
        system: The value of ``sys.platform``.
        machine: The value of ``platform.machine()``.
        release: The fields of ``os-release``.
        tools: The package tools found on PATH.

    Raises:
        InputError: If not, with every reason.
    """
    problems: list[str] = []
    if system != "linux":
        problems.append(f"it needs Linux; this is {system}")
    if machine != "x86_64":
        problems.append(f"it needs an x86-64 processor; this is {machine}")
    if missing := sorted({"apt-get", "apt-config", "dpkg", "dpkg-deb"} - tools):
        problems.append(f"it needs Debian's or Ubuntu's package tools; not found: {', '.join(missing)}")
    codename = release.get("UBUNTU_CODENAME") or release.get("VERSION_CODENAME", "")
    if not codename:
        problems.append("it needs the release's code name in os-release, found none")
    if problems:
        raise InputError("the emulated phone cannot be had on this machine:", problems)
    return Host(release.get("ID", ""), codename, "amd64")


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
