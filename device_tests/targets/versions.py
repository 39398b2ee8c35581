"""Which versions are installed here: the phone gets the very same."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, version

from hetero.errors import InputError

RUNTIME_PACKAGES = ("numpy", "onnxruntime", "ai-edge-litert", "pillow")


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Package name to version.

    Raises:
        InputError: Naming the packages that are not installed.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise InputError(
            f"not installed: {', '.join(missing)}; install the extra `device`: pip install 'hetero[device]'"
        )
    return found


def constraints() -> list[str]:
    """Every installed package as ``name==version``, for pip; local versions such as ``+cpu`` are cut off."""
    pairs = {(item.name, item.version.split("+")[0]) for item in distributions()}
    return sorted(f"{name}=={number}" for name, number in pairs if name)
