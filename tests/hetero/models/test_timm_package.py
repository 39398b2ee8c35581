from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from hetero.errors import InputError
from hetero.models.backbones import timm_package
from hetero.models.backbones.pretrained import backbone
from hetero.models.backbones.timm_package import import_timm

SMALL = {
    "timm/__init__.py": "from .layers import norms\nfrom .models import mean\n",
    "timm/layers.py": """
try:
    from torchvision.models.feature_extraction import create_feature_extractor
except ImportError:
    create_feature_extractor = None
from torchvision.ops.misc import FrozenBatchNorm2d
norms = {"frozenbatchnorm2d": FrozenBatchNorm2d}
""",
    "timm/models.py": "from timm.data import MEAN\nmean = MEAN\n",
    "timm/data/__init__.py": "from .constants import *\nfrom torchvision import transforms\n",
    "timm/data/constants.py": "MEAN = (0.1, 0.2, 0.3)\n",
}
"""timm as far as its imports go."""
TORCHVISION = {
    "missing": {},
    "broken": {
        "torchvision/__init__.py": "from . import extension\nraise RuntimeError('no torchvision::nms')\n",
        "torchvision/extension.py": "",
    },
}


def _packages() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget timm and torchvision, before and after."""
    for name in _packages():
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in _packages():
        del sys.modules[name]


def lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("torchvision", TORCHVISION)
def test_timm_comes_without_torchvision(
    torchvision: str, alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, SMALL | TORCHVISION[torchvision])
    # Instead of the installed packages: a torchvision among them would not be missing.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    timm = import_timm()
    assert timm.mean == (0.1, 0.2, 0.3)
    with pytest.raises(ImportError, match="FrozenBatchNorm2d needs torchvision"):
        timm.norms["frozenbatchnorm2d"](8)
    assert import_timm() is timm


@pytest.mark.parametrize("torchvision", TORCHVISION)
def test_others_get_the_error_of_torchvision(
    torchvision: str, alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, SMALL | TORCHVISION[torchvision])
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    import_timm()
    for name in ("torchvision", "timm.data"):
        with pytest.raises((ImportError, RuntimeError), match="torchvision"):
            __import__(name)


def test_a_torchvision_that_works_is_used(alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {
        "torchvision/__init__.py": "transforms = 1\n",
        "torchvision/models/__init__.py": "",
        "torchvision/models/feature_extraction.py": "create_feature_extractor = 2\n",
        "torchvision/ops/__init__.py": "",
        "torchvision/ops/misc.py": "FrozenBatchNorm2d = 3\n",
    }
    lay_out(tmp_path, SMALL | whole)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    timm = import_timm()
    assert (timm.norms["frozenbatchnorm2d"], timm.data.transforms) == (3, 1)


def test_one_that_needs_more_of_torchvision_is_refused(
    alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, SMALL | {"timm/models.py": "from torchvision.ops import nms\n"})
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(InputError, match=r"needs the package timm, which cannot be imported \(.*torchvision"):
        backbone("timm:resnet18")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("timm") is None, reason="needs the package timm")
def test_a_network_of_timm_itself(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    loaded = backbone("timm:resnet10t").eval()
    network = loaded.network
    assert isinstance(network, nn.Module) and type(network).__module__ == "timm.models.resnet"
    assert (loaded.mean, loaded.size, loaded.channels) == ((0.485, 0.456, 0.406), (176, 176), 512)
    pixels = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = loaded(pixels)
        assert features.shape == (1, 512, 2, 3)
        assert torch.allclose(features.mean((2, 3)), network(pixels), atol=1e-6)
    assert timm_package.FrozenBatchNorm2d not in map(type, network.modules())
