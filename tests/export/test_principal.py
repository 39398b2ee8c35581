"""A student whose last layer works in principal directions is exported as any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export import export_model
from export.bundle.reading import read_bundle
from hetero.geometry.principal import principal_directions
from hetero.models.config import ModelConfig
from hetero.models.directory import save_model
from hetero.models.model import EmbeddingModel
from hetero.training.principal_layer import start_at
from tests.export.bundles import retrieval_set
from tests.export.test_export import PREPROCESSING, SPACE, STAGES, tiny_calibration
from tests.hetero.geometry.clouds import low_dimensional


@pytest.mark.slow
def test_every_format_in_every_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = EmbeddingModel("tiny", ModelConfig(dimension=16, stages=STAGES, principal=8), PREPROCESSING)
    start_at(model, principal_directions(low_dimensional(dimension=16, rank=8), 8))
    shown = retrieval_set(PREPROCESSING, SPACE)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.from_numpy(shown.images))
    model.space = SPACE
    save_model(tmp_path / "model", model, {})
    made = export_model(
        tmp_path / "model",
        shown,
        tmp_path / "bundle",
        precisions=("fp32", "fp16", "int8"),
        calibration=tiny_calibration(tmp_path / "model"),
        goldens=4,
    )
    bundle = read_bundle(made)
    assert bundle.manifest.missing == ()
    least = {"fp32": 1 - 1e-6, "fp16": 1 - 1e-4, "int8": 0.9}
    seen = {(one.format, one.precision): one.min_cosine for one in bundle.manifest.models}
    assert {name for name, _ in seen} == {"onnx", "litert", "coreml"}
    for (_, precision), cosine in seen.items():
        if cosine is not None:
            assert cosine > least[precision]
