"""Whole networks in every precision that coremltools writes, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from device_tests.runtimes.coreml import load
from hetero.models.backbones.pretrained import backbone
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from tests.device_tests.runtimes.coreml.mil import ct

SIDE = 64
FAMILIES = {
    "edge": ModelConfig(family="edge"),
    "edge, other blocks": ModelConfig(
        family="edge",
        width=0.75,
        pool="gem",
        stem_stride=1,
        stages=(
            Stage(16, 1, 2, kernel=5, expansion=2.0, squeeze_excite=True),
            Stage(32, 2, 2, kernel=7, expansion=4.0),
        ),
    ),
    "residual": ModelConfig(family="residual"),
}


class _Planes(torch.nn.Module):
    """Takes what Core ML makes of an image: float32 planes of values from 0 to 255."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # Whole numbers are what `forward` takes, and what tests check it for.
        if isinstance(self.model, EmbeddingModel):
            return self.model.embed(image / 255)
        return self.model(image.permute(0, 2, 3, 1))


class _NotOurs(torch.nn.Module):
    """EfficientNet-Lite0 as its package has it, pooled to a unit vector."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = backbone("efficientnet_lite0")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = (images.permute(0, 3, 1, 2).float() - 127) / 128
        return F.normalize(self.backbone(pixels).mean((2, 3)))


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Soft coloured spots: uint8 [count, SIDE, SIDE, 3]."""
    rough = torch.from_numpy(np.random.default_rng(seed).random((count, 3, 5, 5)).astype(np.float32))
    smooth = F.interpolate(rough, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return (smooth.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()


def network(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if family == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite_pytorch")
        return _NotOurs().eval()
    model = EmbeddingModel(family, FAMILIES[family], Preprocessing(height=SIDE, width=SIDE)).train()
    with torch.no_grad():
        for seed in range(8):
            model(torch.from_numpy(pictures(32, seed)))
    return model.eval()


def converted(model: torch.nn.Module, precision: Any) -> Any:
    with torch.no_grad():
        traced = torch.jit.trace(_Planes(model).eval(), torch.zeros(1, 3, SIDE, SIDE))
    return ct.convert(
        traced,
        inputs=[ct.ImageType(name="image", shape=(1, 3, SIDE, SIDE), color_layout=ct.colorlayout.RGB)],
        outputs=[ct.TensorType(name="embedding", dtype=np.float32)],
        convert_to="mlprogram",
        compute_precision=precision,
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )


def embedded(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(images)).numpy()


def test_a_student_in_float32_by_batches_and_one_by_one(tmp_path: Path) -> None:
    model, images = network("edge"), pictures(12, 99)
    converted(model, ct.precision.FLOAT32).save(str(tmp_path / "m.mlpackage"))
    loaded = load(tmp_path / "m.mlpackage")
    together = loaded.run({"image": images})
    assert together.incidents == ()
    np.testing.assert_allclose(together.outputs["embedding"], embedded(model, images), atol=1e-5)
    apart = np.concatenate([loaded.predict({"image": images[row : row + 1]})["embedding"] for row in range(3)])
    np.testing.assert_allclose(apart, together.outputs["embedding"][:3], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, "efficientnet_lite0"])
def test_a_family_in_every_precision(family: str, tmp_path: Path) -> None:
    from coremltools.optimize import coreml as cto

    model, images = network(family), pictures(12, 99)
    expected = embedded(model, images)
    full = converted(model, ct.precision.FLOAT32)
    packages = {"fp32": full, "fp16": converted(model, ct.precision.FLOAT16)}
    linear = cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=512)
    packages["int8-weights"] = cto.linear_quantize_weights(full, cto.OptimizationConfig(global_config=linear))
    for bits in (8, 6, 4):
        palette = cto.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=512)
        packages[f"palette{bits}"] = cto.palettize_weights(full, cto.OptimizationConfig(global_config=palette))
    for precision, package in packages.items():
        came = _checked(package, tmp_path / f"{precision}.mlpackage", images)
        if precision in ("fp32", "fp16"):
            assert np.abs(came - expected).max() <= {"fp32": 1e-5, "fp16": 2e-3}[precision]
            continue
        # What compression costs is the weights' matter, not the executor's: the same weights written out must agree.
        plain = _checked(cto.decompress_weights(package), tmp_path / f"{precision}.plain.mlpackage", images)
        np.testing.assert_allclose(came, plain, atol=2e-6)
        if family in FAMILIES:
            floor = {"int8-weights": 0.999, "palette8": 0.999, "palette6": 0.99, "palette4": 0.98}[precision]
            assert (came * expected).sum(1).min() >= floor


def _checked(package: Any, path: Path, images: np.ndarray) -> np.ndarray:
    package.save(str(path))
    result = load(path, "float16").run({"image": images})
    assert np.isfinite(result.outputs["embedding"]).all()
    assert not [item for item in result.incidents if item.kind != "flushed to zero"]
    return result.outputs["embedding"]
