"""Packages that not everybody has, imported when a network of theirs is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from hetero.errors import InputError
from hetero.named import named


def package(module: str, wanted_by: str, *, extra: str, load: Callable[[], Any] | None = None, alone: str = "") -> Any:
    """Import a package, or say how to install it.

    Args:
        module: Its name.
        wanted_by: What needs it, for messages.
        extra: The extra of hetero that installs it.
        load: Imports it in another way.
        alone: What pip installs where torchvision, which it asks for and which is not needed here, does not install.

    Raises:
        InputError: When it cannot be imported.
    """
    try:
        return load() if load else named(module)
    except ImportError as error:
        without = f", or without torchvision: pip install --no-deps {alone}" if alone else ""
        raise InputError(
            f"{wanted_by} needs the package {module.replace('_', '-')}, which cannot be imported ({error}); "
            f"install it with: pip install 'hetero[{extra}]'{without}"
        ) from error


@contextmanager
def in_place_of_modules(modules: Mapping[str, Any]) -> Generator[None]:
    """Let imports in the block find these in place of modules; None for a module that cannot be found."""
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)
