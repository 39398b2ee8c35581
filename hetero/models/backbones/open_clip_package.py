"""The package open_clip, also where torchvision is missing or broken.

open_clip imports torchvision for transforms of images, and its networks need none of it.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from hetero.models.backbones.packages import in_place_of_modules, package
from hetero.models.backbones.timm_package import timm_with
from hetero.named import named


def open_clip_for(wanted_by: str) -> Any:
    """Import open_clip; where torchvision cannot be imported, all of open_clip but its transforms.

    Args:
        wanted_by: What needs it, for messages.

    Raises:
        InputError: When open_clip or timm, which it takes some of its networks from, cannot be imported.
    """
    timm_with(wanted_by)
    return package("open_clip", wanted_by, extra="open_clip", load=_imported, alone="open_clip_torch ftfy wcwidth")


def _imported() -> Any:
    try:
        return named("open_clip")
    except (ImportError, RuntimeError):  # torchvision built for another torch raises RuntimeError
        if find_spec("open_clip") is None:
            raise
    with suppress(ImportError):
        # open_clip imports it for texts, and it notes once for all whether there is a torchvision.
        named("transformers")
    hidden = {
        f"torchvision{part}": _Hidden(f"torchvision{part}")
        for part in ("", ".transforms", ".transforms.functional", ".ops", ".ops.misc")
    }
    with in_place_of_modules(hidden):
        return named("open_clip")


class _Absent(type):
    """Classes that can be named and derived from, with any member that a default names, and never made."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return name


class NeedsTorchvision(metaclass=_Absent):
    """In the place of torchvision's classes."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ImportError(f"{type(self).__name__} needs torchvision, which cannot be imported")


class _Hidden(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return NeedsTorchvision
