"""The scope of a verification: without a runtime for a format on a target, there is nothing to verify."""

from __future__ import annotations

from collections.abc import Sequence

from device_tests.checks.finding import Status
from device_tests.checks.gates import Gates
from device_tests.targets.target import Target
from export.bundle.reading import Bundle
from export.kinds.registry import format_called


def no_runtime(target: Target, format: str) -> str:
    """Return the reason why there is nothing to verify; empty if there is something."""
    if format in target.runtimes:
        return ""
    return format_called(format).not_here.format(target=target.name, format=format)


def without_runtime(format: str, targets: Sequence[Target], gates: Gates) -> Status:
    """Return the status of a format on a target that has no runtime for it.

    Args:
        format: The format.
        targets: All targets of the verification.
        gates: Limits; a format that they require, and that no target can run, is not verified.
    """
    required = format in gates.require and not any(format in target.runtimes for target in targets)
    return "not verified" if required else "n/a"


def missing(bundle: Bundle, gates: Gates) -> list[str]:
    """Return required formats that a bundle lacks."""
    return [name for name in gates.require if name not in {entry.format for entry in bundle.manifest.models}]
