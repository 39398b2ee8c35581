"""The versions installed here, which the phone gets, too."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec

from device_tests.runner.engines import engine
from export.kinds.format import Kind
from export.kinds.registry import engines_on, formats
from hetero.errors import InputError


def packages_on(kind: Kind) -> tuple[str, ...]:
    """Return the packages of a phone for the engines that travel with the runner."""
    return ("numpy", *(engine(name).package for name in engines_on(kind).values()), "pillow")


def modules_on(kind: Kind) -> tuple[str, ...]:
    """Return the modules of :func:`packages_on`."""
    return ("numpy", *(module for name in engines_on(kind).values() for module in engine(name).modules), "PIL.Image")


def search_packages() -> tuple[str, ...]:
    """Return the packages with which a phone searches a bundle's gallery, if they are installed here."""
    return ("usearch",) if find_spec("usearch") is not None else ()


RUNTIME_PACKAGES = packages_on("phone")
"""The packages with which this machine and a current phone run models."""


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return versions by package name.

    Raises:
        InputError: If some packages are not installed, with their names.
    """
    versions: dict[str, str] = {}
    missing: list[str] = []
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise InputError(
            f"not installed: {', '.join(missing)}; install the extra `device`: pip install 'hetero[device]'"
        )
    return versions


def versions_beside(kind: Kind) -> dict[str, str]:
    """Return versions of the packages of engines that do not travel, as far as they are installed."""
    engines = [format.engines[kind] for format in formats() if kind in format.engines]
    versions: dict[str, str] = {}
    for package in filter(None, (one.package for one in engines)):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def constraints() -> list[str]:
    """Return every installed package as ``name==version``, for pip; local versions such as ``+cpu`` are cut off."""
    pairs = {(item.name, item.version.split("+")[0]) for item in distributions()}
    return sorted(f"{name}=={number}" for name, number in pairs if name)
