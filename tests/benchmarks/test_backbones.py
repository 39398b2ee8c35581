"""The table of backbones: what a format refuses is no gap, and a gap is no refusal."""

from __future__ import annotations

import pytest
import torch

from benchmarks.backbones import MISSING, rows
from benchmarks.networks import NETWORKS, new_model
from hetero.models.backbones.pretrained import backbone

FILE = {"bytes": 1_234_000, "cosine min": 0.99987, "overlap@10": 0.991, "loss": 0.002, "milliseconds": 0.5}


def test_what_is_refused_and_what_is_missing() -> None:
    names = ("model.fp32.mlpackage", "model.fp16.mlpackage", "model.int8-weights.mlpackage", "model.fp32.pte")
    files = [FILE | {"file": name} | ({"milliseconds": None} if "mlpackage" in name else {}) for name in names]
    _, litert, coreml, executorch = rows("net", {"files": files, "torch": {"map@r": 0.5}})
    assert litert.count(MISSING) == 5 * 3
    assert coreml == (
        "|  | Core ML | 1,234 1,234 1,234 | 0.99987 0.99987 0.99987 | 0.991 0.991 0.991 | -0.2% -0.2% -0.2% |  |"
    )
    assert executorch.startswith(f"|  | ExecuTorch | 1,234 - {MISSING} |")


def test_a_published_backbone_keeps_its_statistics() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    images = torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    model = new_model(NETWORKS["efficientnet_lite0"], images)
    own = {name: value for name, value in backbone("efficientnet_lite0").state_dict().items() if "running" in name}
    assert own and all(torch.equal(model.backbone.state_dict()[name], value) for name, value in own.items())
    with torch.no_grad():
        vectors = model.neck(model.embedding(model.features(model.pixels(images))))
    assert torch.allclose(vectors.mean(0), torch.zeros(vectors.shape[1]), atol=1e-4)
