from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hetero.errors import InputError, IntegrityError
from hetero.models.external.embedders import ModuleEmbedder, OnnxEmbedder, embed_all
from hetero.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(height=4, width=6, mean=(0.2, 0.4, 0.6), std=(0.5, 0.25, 0.2))
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3)).astype(np.uint8)
NORMALISED = (IMAGES / 255 - np.array(PREPROCESSING.mean)) / np.array(PREPROCESSING.std)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class ChannelMeans(nn.Module):
    """Vectors whose values are known: the mean of each channel, times a weight."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * self.scale


class Channelwise(ChannelMeans):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8
        return images.float().mean((1, 2)) * self.scale


@pytest.mark.parametrize(
    ("module", "takes", "expected"),
    [
        (ChannelMeans(), "normalised", NORMALISED),
        (ChannelMeans(), "scaled", IMAGES / 255),
        (Channelwise(), "uint8", IMAGES.astype(float)),
    ],
)
def test_a_module_sees_the_images_it_asks_for(module: nn.Module, takes: Any, expected: np.ndarray) -> None:
    embedder = ModuleEmbedder(module, PREPROCESSING, takes=takes)
    vectors = embed_all(embedder, IMAGES, batch_size=3, progress="test")
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, unit(expected.mean((1, 2))), atol=1e-5)
    assert embedder.space.dimension == 3
    assert embedder.space.preprocessing == PREPROCESSING.digest


def test_the_weights_define_the_space() -> None:
    spaces = [ModuleEmbedder(ChannelMeans(scale), PREPROCESSING).space.space_id for scale in (2.0, 2.0, 3.0)]
    assert spaces[0] == spaces[1] != spaces[2]


def test_tied_weights_are_no_obstacle() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(72, 72), nn.Linear(72, 72))
    module[2].weight = module[1].weight
    assert ModuleEmbedder(module, PREPROCESSING).space.dimension == 72


def test_evaluation_mode_makes_it_repeatable() -> None:
    module = nn.Sequential(ChannelMeans(), nn.Dropout(0.5)).train()
    embedder = ModuleEmbedder(module, PREPROCESSING)
    assert np.array_equal(embedder.embed(IMAGES), embedder.embed(IMAGES))


def test_unit_vectors_stay_bit_by_bit() -> None:
    class Normalised(ChannelMeans):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(super().forward(images), dim=1)

    embedder = ModuleEmbedder(Normalised(), PREPROCESSING)
    assert np.array_equal(embed_all(embedder, IMAGES), embedder.embed(IMAGES))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Identity(), r"one vector an image, \[2, d\]; got \[2, 3, 4, 6\]: pool or flatten"),
        (nn.Linear(5, 2), r"cannot take the images that takes='normalised' gives it, float32 \[b, 3, h, w\]"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (1, -1))), r"got \[1, 144\]"),
    ],
)
def test_refuses_modules_that_give_no_vectors(module: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModuleEmbedder(module, PREPROCESSING)


def test_names_the_images_whose_vectors_cannot_be_used() -> None:
    class Broken:
        space = ModuleEmbedder(ChannelMeans(), PREPROCESSING).space
        preprocessing = PREPROCESSING

        def embed(self, images: np.ndarray) -> np.ndarray:
            vectors = images.astype(np.float32).mean((1, 2))
            vectors[vectors[:, 0] > 250] = np.nan
            return vectors

    images = IMAGES.copy()
    images[5], images[6] = 255, 0
    with pytest.raises(InputError) as caught:
        embed_all(Broken(), images, batch_size=4)
    assert "1 of 3 are not finite, the first is of image 5" in str(caught.value)
    assert "1 of 3 are zero, without a direction, the first is of image 6" in str(caught.value)


def onnx_file(path: Path, shape: list[Any], kind: str = "FLOAT", outputs: tuple[str, ...] = ("vectors",)) -> Path:
    """A graph that answers each channel's mean, for images in the order that ``shape`` says."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    axes = [1, 2] if shape[-1] == 3 else [2, 3]
    nodes = [helper.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT)]
    nodes += [
        helper.make_node("ReduceMean", ["floats", "axes"], [name], keepdims=int(name == "kept")) for name in outputs
    ]
    graph = helper.make_graph(
        nodes,
        "channel means",
        [helper.make_tensor_value_info("images", getattr(onnx.TensorProto, kind), shape)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [helper.make_tensor("axes", onnx.TensorProto.INT64, [2], axes)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("shape", "kind", "expected"),
    [
        (["b", 3, 4, 6], "FLOAT", NORMALISED),
        (["b", 4, 6, 3], "FLOAT", NORMALISED),
        ([1, 3, "h", "w"], "FLOAT", NORMALISED),
        ([4, 3, 4, 6], "FLOAT", NORMALISED),
        (["b", 3, 4, 6], "FLOAT16", NORMALISED),
        ([1, 4, 6, 3], "UINT8", IMAGES.astype(float)),
        (["b", 3, 4, 6], "UINT8", IMAGES.astype(float)),
    ],
)
def test_an_onnx_file_sees_the_images_it_asks_for(
    tmp_path: Path, shape: list[Any], kind: str, expected: np.ndarray
) -> None:
    embedder = OnnxEmbedder(onnx_file(tmp_path / "m.onnx", shape, kind), PREPROCESSING)
    vectors = embed_all(embedder, IMAGES, batch_size=5)
    tolerance = 2e-3 if kind == "FLOAT16" else 1e-5
    assert np.allclose(vectors, unit(expected.mean((1, 2))), atol=tolerance)


def test_the_onnx_file_defines_the_space(tmp_path: Path) -> None:
    shapes = [["b", 3, 4, 6], ["b", 3, 4, 6], [1, 3, 4, 6]]
    files = [onnx_file(tmp_path / f"{index}.onnx", shape) for index, shape in enumerate(shapes)]
    ids = [OnnxEmbedder(file, PREPROCESSING, name="shop", version="7").space.space_id for file in files]
    assert ids[0] == ids[1] != ids[2]


def test_weights_beside_the_onnx_file_count(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    ids: list[str] = []
    for value in (1.0, 2.0):
        directory = tmp_path / str(value)
        directory.mkdir()
        (directory / "unrelated.txt").write_text(str(value))
        model = onnx.load(onnx_file(directory / "m.onnx", ["b", 3, 4, 6]))
        weight = onnx.numpy_helper.from_array(np.full((3, 600), value, np.float32), "weight")
        model.graph.initializer.append(weight)
        model.graph.node.append(onnx.helper.make_node("MatMul", ["vectors", "weight"], ["wide"]))
        model.graph.output[0].name = "wide"
        onnx.save(model, str(directory / "m.onnx"), save_as_external_data=True, location="m.weights", size_threshold=64)
        embedder = OnnxEmbedder(directory / "m.onnx", PREPROCESSING)
        assert embedder.space.dimension == 600
        ids.append(embedder.space.space_id)
    assert ids[0] != ids[1]


def test_several_outputs_need_a_choice(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", ["b", 3, 4, 6], outputs=("kept", "vectors"))
    with pytest.raises(InputError, match=r"one of \['kept', 'vectors'\]; got ''"):
        OnnxEmbedder(path, PREPROCESSING)
    with pytest.raises(InputError, match=r"output kept must hold vectors \[b, d\], got \['b', 3, 1, 1\]"):
        OnnxEmbedder(path, PREPROCESSING, output="kept")
    assert OnnxEmbedder(path, PREPROCESSING, output="vectors").space.dimension == 3


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (["b", 3, 8, 8], r"expected images \[b, 4, 6, 3\] or \[b, 3, 4, 6\] .* its input is neither"),
        (["b", "c", "h", "w"], "its input may be either"),
        (["b", 3, 4, 6, 1], "its input is neither"),
    ],
)
def test_refuses_onnx_files_of_other_images(tmp_path: Path, shape: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OnnxEmbedder(onnx_file(tmp_path / "m.onnx", shape), PREPROCESSING)


def test_refuses_missing_and_broken_onnx_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an ONNX file at .*found none"):
        OnnxEmbedder(tmp_path / "none.onnx", PREPROCESSING)
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(IntegrityError, match=r"broken\.onnx cannot be loaded"):
        OnnxEmbedder(tmp_path / "broken.onnx", PREPROCESSING)
    with pytest.raises(InputError, match="expected one input of images"):
        OnnxEmbedder(onnx_file(tmp_path / "i.onnx", ["b", 3, 4, 6], "INT32"), PREPROCESSING)
