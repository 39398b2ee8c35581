"""The package timm, also where torchvision is missing or broken.

timm imports torchvision for its data loading. Its networks need one class of it, in a list of norms by name, and none
is made of that. A build of torch without CUDA has no torchvision beside it in the package index: the one that installs
does not import.
"""

from __future__ import annotations

import runpy
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import nn

from hetero.errors import InputError
from hetero.models.backbones.packages import in_place_of_modules, package
from hetero.named import named


def import_timm() -> Any:
    """Import timm; where torchvision cannot be imported, all of timm but its data loading.

    Raises:
        ImportError: When timm is not installed, or needs more of torchvision than this.
    """
    try:
        return named("timm")
    except (ImportError, RuntimeError):  # torchvision built for another torch raises RuntimeError
        if find_spec("timm") is None:
            raise
    with _without_torchvision():
        return named("timm")


def timm_with(wanted_by: str, network: str = "") -> Any:
    """Import timm as :func:`import_timm` does, for one of its networks.

    Args:
        wanted_by: What needs it, for messages.
        network: Name of the network, with or without the tag of its weights; empty for none.

    Raises:
        InputError: When timm cannot be imported, or has no such network.
    """
    timm = package("timm", wanted_by, extra="timm", load=import_timm, alone="timm")
    if network and not timm.is_model(network):
        close = timm.list_models(f"*{network.partition('_')[0]}*")[:5]
        raise InputError(f"timm has no model {network!r}; similar names: {', '.join(close) or 'none'}")
    return timm


class FrozenBatchNorm2d(nn.Module):
    """In the place of torchvision's class of this name."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ImportError("FrozenBatchNorm2d needs torchvision, which cannot be imported")


@contextmanager
def _without_torchvision() -> Generator[None]:
    """Hide torchvision but for one class, and give timm's constants the name of its data loading, which has them too.

    Only while timm is imported: whoever imports timm's data loading later gets torchvision's own error.
    """
    spec = find_spec("timm")
    assert spec is not None and spec.submodule_search_locations is not None
    constants = runpy.run_path(str(Path(spec.submodule_search_locations[0]) / "data" / "constants.py"))
    hidden = {
        "torchvision": None,
        "torchvision.ops.misc": SimpleNamespace(FrozenBatchNorm2d=FrozenBatchNorm2d),
        "timm.data": SimpleNamespace(**constants),
    }
    with in_place_of_modules(hidden):
        yield
