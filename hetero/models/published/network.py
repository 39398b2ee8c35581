"""A published network: its module, what it makes of an image, and how its images are prepared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from hetero.errors import InputError
from hetero.models.families import HF, OPEN_CLIP, TIMM
from hetero.models.published.preparation import Preparation
from hetero.named import named

_LIBRARIES = {TIMM: "timm", OPEN_CLIP: "open_clip", HF: "hf"}


@dataclass(frozen=True)
class PublishedNetwork:
    """A network with its weights.

    Attributes:
        module: Maps normalised images [b, 3, h, w] to vectors [b, d].
        output: What these vectors are, in words.
        preparation: What its library says of its images.
        resize: Makes the module take images of another height and width.
    """

    module: nn.Module
    output: str
    preparation: Preparation
    resize: Callable[[int, int], None] = field(default=lambda height, width: None)


def published_network(name: str, weights: Path | None = None) -> PublishedNetwork:
    """Load a network by name, from this machine alone.

    Args:
        name: ``timm:NAME``, ``open_clip:NAME``, ``open_clip:NAME:TAG`` or ``hf:NAME``, or a directory in place of NAME.
        weights: A ``.safetensors`` file; None for those of the directory, or that the hub's cache holds.

    Raises:
        InputError: When the name is not known, its package is not installed, its weights do not lie here, or are not
            those of the network.
        IntegrityError: When a file is damaged.
    """
    network: PublishedNetwork = _asked(name, "network", weights)
    return network


def network_files(name: str, weights: Path | None = None) -> list[Path]:
    """Return the files that decide a network, without loading it.

    Args:
        name: See :func:`published_network`.
        weights: Likewise.

    Raises:
        InputError: When one is missing or of another format, with what to do.
    """
    files: list[Path] = _asked(name, "files", weights)
    return files


def _asked(name: str, what: str, weights: Path | None) -> Any:
    for prefix, library in _LIBRARIES.items():
        if name.startswith(prefix):
            return named(f"hetero.models.published.{library}_networks:{library}_{what}")(
                name.removeprefix(prefix), weights
            )
    raise InputError(f"expected a network as {', '.join(f'{prefix}NAME' for prefix in _LIBRARIES)}, got {name!r}")
