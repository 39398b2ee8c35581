"""What a verification is asked for, and why something cannot be verified where it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from device_tests.gates import Gates
from device_tests.targets.target import Target
from export.bundle import Bundle


def no_runtime(target: Target, format: str) -> str:
    """Why a format cannot be verified on a target; empty when it can."""
    if format in target.runtimes:
        return ""
    if format == "coreml":
        return f"nothing on {target.name} executes Core ML"
    return f"{target.name} has no runtime for {format}"


def asked(format: str, target: Target, targets: Sequence[Target], gates: Gates) -> bool:
    """Whether a format's verification on a target was asked for: not having done it then has an exit code of its own.

    A format is asked for wherever there is a runtime for it. One that is required, and that no target of the
    verification has a runtime for, is asked for on all of them.
    """
    if format in target.runtimes:
        return True
    return format in gates.require and not any(format in other.runtimes for other in targets)


def missing(bundle: Bundle, gates: Gates) -> list[str]:
    """Required formats that a bundle does not hold."""
    return [name for name in gates.require if name not in {entry.format for entry in bundle.manifest.models}]
