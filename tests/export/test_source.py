"""Any module can be exported, with everything before and after it in the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export import RetrievalSet, export_model
from export.api import make_goldens
from export.bundle.reading import read_bundle
from export.capture.program import capture
from export.capture.source import Source, from_directory, from_module, resizing
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.export.bundles import retrieval_set, tasks, units
from tests.export.test_export import save_tiny

PREPROCESSING = Preprocessing(height=12, width=10, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
SPACE = EmbeddingSpace.define(defined_by="d" * 64, name="cloud", version="2", dimension=6)


class Net(nn.Module):
    """Somebody's network: it knows nothing of bytes or lengths."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.features(pixels).mean(dim=(2, 3)) * 3


def pictures(preprocessing: Preprocessing, count: int = 6) -> np.ndarray:
    shape = (count, preprocessing.height, preprocessing.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_module_gets_its_normalisation_and_unit_length() -> None:
    source, images = from_module(Net(), PREPROCESSING, SPACE, name="net"), pictures(PREPROCESSING)
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    with torch.no_grad():
        vectors = Net().eval()(((planes - mean) / std).float())
    expected = nn.functional.normalize(vectors).numpy()
    assert np.abs(source.embed(images) - expected).max() < 1e-6


def test_a_module_that_takes_plain_pixels_has_a_contract_without_normalisation() -> None:
    source = from_module(Net(), PREPROCESSING, SPACE, name="net", takes="scaled")
    assert (source.preprocessing.mean, source.preprocessing.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    images = pictures(PREPROCESSING)
    planes = images.transpose(0, 3, 1, 2) / np.float32(255)
    assert np.abs(source.pixels(torch.from_numpy(images)).numpy() - planes).max() < 1e-6


def test_wrong_dimension_and_wrong_input() -> None:
    with pytest.raises(InputError, match=r"must give one vector an image, \[2, 6\]; got \[2, 8\]"):
        from_module(
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), PREPROCESSING, SPACE, name="n"
        )
    with pytest.raises(InputError, match="cannot take the images that takes='normalised' gives it"):
        from_module(nn.Linear(7, 6), PREPROCESSING, SPACE, name="n")


def test_resizing_in_the_graph_is_the_mean_of_blocks() -> None:
    source = from_module(Net(), PREPROCESSING, SPACE, name="net")
    larger = resizing(source, 2)
    assert (larger.preprocessing.height, larger.preprocessing.width, larger.preprocessing.shrink) == (24, 20, 2)
    images = pictures(larger.preprocessing)
    blocks = images.reshape(6, 12, 2, 10, 2, 3).mean(axis=(2, 4))
    with torch.no_grad():
        expected = nn.functional.normalize(
            Net().eval()(((torch.from_numpy(blocks).permute(0, 3, 1, 2) / 255 - mean_of()) / std_of()).float())
        )
    assert np.abs(larger.embed(images) - expected.numpy()).max() < 1e-5
    # A picture enlarged by repetition is the picture.
    small = pictures(PREPROCESSING)
    assert np.abs(larger.embed(small.repeat(2, axis=1).repeat(2, axis=2)) - source.embed(small)).max() < 1e-6
    with pytest.raises(InputError, match="shrinks nothing yet"):
        resizing(larger, 2)


def mean_of() -> torch.Tensor:
    return torch.tensor(PREPROCESSING.mean).view(1, 3, 1, 1)


def std_of() -> torch.Tensor:
    return torch.tensor(PREPROCESSING.std).view(1, 3, 1, 1)


def test_preprocessing_with_shrink_is_another_contract() -> None:
    plain, larger = Preprocessing(24, 20), Preprocessing(24, 20, shrink=2)
    assert plain.digest != larger.digest
    assert {"orientation", "colour", "antialias", "filter", "resize"} <= set(larger.to_dict())


@pytest.mark.parametrize("any_batch", [False, True])
def test_capture(any_batch: bool) -> None:
    source = from_module(Net(), PREPROCESSING, SPACE, name="net")
    images = pictures(PREPROCESSING, 3)
    program = capture(source.module, source.example, any_batch=any_batch).module()
    parts = [images] if any_batch else [image[None] for image in images]
    with torch.no_grad():
        came = np.concatenate([program(torch.from_numpy(part)).numpy() for part in parts])
    assert np.abs(came - source.embed(images)).max() < 1e-6


def one_set(source: Source) -> RetrievalSet:
    return RetrievalSet(
        images=pictures(source.preprocessing),
        labels=np.array([0, 1, 2, 0, 1, 2]),
        cloud_embeddings=units(6, 1, 6),
        tasks=tasks(),
        names=tuple(map(str, range(6))),
        space=SPACE,
    )


@pytest.mark.slow
def test_a_module_that_resizes_is_exported_everywhere(tmp_path: Path) -> None:
    """A user's network with block averaging in the graph, any batch, a licence and a signature."""
    from export.bundle.signing import check_signature, generate_key

    generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    source = resizing(from_module(Net(), PREPROCESSING, SPACE, name="net"), 2)
    out = export_model(
        source, one_set(source), tmp_path / "bundle", precisions=("fp32", "fp16"), goldens=4, any_batch=True,
        licence="CC-BY-4.0", key=tmp_path / "key.pem",
    )  # fmt: skip
    bundle = read_bundle(out)
    assert check_signature(out, tmp_path / "key.pub.pem")[0] == "trusted"
    assert bundle.manifest.missing == ()
    assert bundle.manifest.licence == "CC-BY-4.0"
    assert "- Licence: CC-BY-4.0." in (out / "README.md").read_text()
    assert bundle.model("onnx").input.shape == (0, 24, 20, 3)
    assert bundle.goldens.golden_tensors.shape == (2, 3, 12, 10)
    assert all(model.min_cosine is None or model.min_cosine > 0.9999 for model in bundle.manifest.models)
    import onnxruntime

    session = onnxruntime.InferenceSession(bundle.path / "model.fp32.onnx", providers=["CPUExecutionProvider"])
    images = bundle.goldens.golden_images
    assert np.abs(session.run(None, {"image": images})[0] - bundle.goldens.golden_embeddings).max() < 1e-5


def test_goldens_of_a_module() -> None:
    source = from_module(Net(), PREPROCESSING, SPACE, name="net")
    golden = make_goldens(source, one_set(source), 4)
    assert np.abs(np.linalg.norm(golden.golden_embeddings, axis=1) - 1).max() < 1e-6


def test_provenance_of_a_model_directory(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path / "model")
    (directory / "metrics.json").write_text('{"seed": 3}')
    (directory / "stage.json").write_text('{"identity": "abc", "stage": "student"}')
    made = from_directory(directory).provenance
    assert (made.recipe, made.seed) == ("abc", 3)
    assert retrieval_set(PREPROCESSING, SPACE).space == SPACE
