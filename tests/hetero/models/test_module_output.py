"""What a module may give: the same for a cloud model and for an export."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from export.capture.source import from_module
from hetero.errors import InputError
from hetero.models.external.embedders import ModuleEmbedder, embed_all
from hetero.models.external.module_output import described
from hetero.models.weights import weights_digest
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

PREPROCESSING = Preprocessing(height=8, width=6)
SPACE = EmbeddingSpace.define(defined_by="d" * 64, name="cloud", version="2", dimension=4)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3)).astype(np.uint8)


def wrapped(module: nn.Module, takes: Any = "normalised") -> list[Any]:
    """The module as a cloud model and as something to export."""
    return [
        ModuleEmbedder(module, PREPROCESSING, takes=takes),
        from_module(module, PREPROCESSING, SPACE, name="net", takes=takes),
    ]


class Net(nn.Module):
    """A network whose vectors a function turns into something else."""

    def __init__(self, end: Callable[[torch.Tensor], Any] = lambda vectors: vectors) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 3)
        self.end = end

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.end(self.layer(pixels).mean((2, 3)))


BAD = {
    "tuple": (lambda v: (v, v), r"got a tuple of float32 \[2, 4\], float32 \[2, 4\]: wrap it"),
    "list": (lambda v: [v], r"got a list of float32 \[2, 4\]: wrap it"),
    "dict": (lambda v: {"embedding": v}, r"got a dict of embedding: float32 \[2, 4\]: wrap it"),
    "None": (lambda v: None, "got None: wrap it"),
    "float16": (lambda v: v.half(), r"got float16 \[2, 4\]: call its .float\(\)"),
    "bfloat16": (lambda v: v.bfloat16(), r"got bfloat16 \[2, 4\]: call its .float\(\)"),
    "float64": (lambda v: v.double(), r"got float64 \[2, 4\]: call its .float\(\)"),
    "integers": (lambda v: v.long(), r"got int64 \[2, 4\]"),
    "nan": (lambda v: v * float("nan"), "values that are not finite for ordinary images"),
    "infinite": (lambda v: v / 0, "values that are not finite for ordinary images"),
    "one for all": (lambda v: v.mean(0), r"one vector an image, .*; got \[4\]: pool or flatten"),
    "half the batch": (lambda v: v[::2], r"got \[1, 4\]"),
    "no image axis": (lambda v: v.squeeze(0) if len(v) == 1 else v, r"one vector an image, \[1, .\]; got \[4\]"),
    "a map": (lambda v: v[:, :, None, None], r"got \[2, 4, 1, 1\]: pool or flatten"),
    "dropout": (lambda v: functional.dropout(v, 0.5), "another vector for the same image at every call"),
    "noise": (lambda v: v + 0.01 * torch.randn_like(v), "another vector for the same image at every call"),
    "batch norm": (
        lambda v: functional.batch_norm(v, None, None, training=True),
        "another vector when other images are in its batch|cannot take the images",
    ),
    "batch mean": (lambda v: v - v.mean(0, keepdim=True) / 2, "another vector when other images are in its batch"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_clear_error_for_what_is_no_vector_an_image(case: str) -> None:
    end, message = BAD[case]
    with pytest.raises(InputError, match=message) as cloud:
        ModuleEmbedder(Net(end), PREPROCESSING)
    with pytest.raises(InputError, match=message) as export:
        from_module(Net(end), PREPROCESSING, SPACE, name="net")
    assert str(export.value).replace("the module net", "the module").replace("[2, 4]; got", "[2, d]; got").replace(
        "[1, 4]; got", "[1, d]; got"
    ) == str(cloud.value)


def test_batch_norm_without_statistics_of_its_own_mixes_images() -> None:
    with pytest.raises(InputError, match="track_running_stats=False"):
        ModuleEmbedder(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), Net()), PREPROCESSING)


def test_a_module_that_stays_in_training_mode_is_random() -> None:
    class Stubborn(nn.Dropout):
        def train(self, mode: bool = True) -> Stubborn:
            return super().train(True)

    with pytest.raises(InputError, match="a train\\(\\) that ignores its mode"):
        from_module(nn.Sequential(Net(), Stubborn(0.5)), PREPROCESSING, SPACE, name="net")


def test_modes_that_evaluation_switches_off_are_no_obstacle() -> None:
    for each in wrapped(nn.Sequential(nn.BatchNorm2d(3), Net(), nn.Dropout(0.9)).train()):
        assert np.array_equal(each.embed(IMAGES), each.embed(IMAGES))


def test_memory_format_changes_neither_space_nor_vectors() -> None:
    plain, last = Net(), Net().to(memory_format=torch.channels_last)
    turned = Net()
    turned.layer.weight = nn.Parameter(Net().layer.weight.detach().permute(1, 0, 3, 2).contiguous().permute(1, 0, 3, 2))
    assert not last.layer.weight.is_contiguous()
    assert not turned.layer.weight.is_contiguous()
    (cloud, source), others = wrapped(plain), [*wrapped(last), *wrapped(turned)]
    assert {each.space.space_id for each in others[::2]} == {cloud.space.space_id}
    assert {each.digest for each in others[1::2]} == {source.digest}
    assert all(np.allclose(each.embed(IMAGES), source.embed(IMAGES), atol=1e-6) for each in others[1::2])


class Extra(nn.Module):
    """A module with state that is no tensor."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.net, self.state = Net(), state

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.net(pixels)

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


def test_extra_state_is_part_of_the_identity() -> None:
    scales = {"scale": torch.tensor([0.5, 2.0]), "history": [np.float32(1), b"\x00", (None, True)], 3: "e4m3"}
    states = [{"epoch": 3}, {"epoch": 3}, {"epoch": 4}, scales, scales | {"scale": torch.tensor([0.5, 3.0])}, None]
    digests = [from_module(Extra(state), PREPROCESSING, SPACE, name="net").digest for state in states]
    assert digests[0] == digests[1]
    assert len({*digests}) == 5
    assert ModuleEmbedder(Extra({"epoch": 3}), PREPROCESSING).space.dimension == 4
    for opaque in (object(), {"a": [object()]}, np.array([object()])):
        with pytest.raises(InputError, match="return numbers, text, tensors"):
            ModuleEmbedder(Extra(opaque), PREPROCESSING)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_and_sparse_weights_have_an_identity() -> None:
    digests: list[str] = []
    for value in (1.0, 1.0, 2.0):
        layer = nn.Linear(3, 4)
        nn.init.eye_(layer.weight)
        nn.init.constant_(layer.bias, value)
        quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {nn.Linear}, dtype=torch.qint8)
        quantised.register_buffer("sparse", (value * torch.eye(3)).to_sparse())
        digests.append(weights_digest(quantised))
    assert digests[0] == digests[1] != digests[2]


def test_an_image_whose_vector_is_not_finite_is_named() -> None:
    module = Net(lambda vectors: vectors / (vectors - vectors[:, :1]).abs().sum(1, keepdim=True))
    nn.init.zeros_(module.layer.bias)
    source, images = from_module(module, PREPROCESSING, SPACE, name="net", takes="scaled"), IMAGES.copy()
    images[3] = 0
    with pytest.raises(InputError, match="1 of 5 are not finite, the first is of image 3"):
        source.embed(images)


def test_lazy_modules_take_their_shapes_from_the_images() -> None:
    for index in range(2):
        module = nn.Sequential(nn.LazyConv2d(5, 3), nn.Flatten(), nn.LazyLinear(4))
        made = wrapped(module)[index] if index else ModuleEmbedder(module, PREPROCESSING)
        assert made.embed(IMAGES).shape == (5, 4)
        # Outside of inference mode too: the module can still be trained.
        module(torch.zeros(1, 3, 8, 6)).sum().backward()
        module[0].weight.detach().add_(1)


def test_a_lazy_layer_that_never_runs_has_no_weights_to_identify() -> None:
    module = Net()
    module.head = nn.LazyLinear(9)
    with pytest.raises(InputError, match=r"the weight head.weight has no values yet"):
        ModuleEmbedder(module, PREPROCESSING)


def test_weights_without_values_are_refused() -> None:
    with torch.device("meta"):
        module = Net()
    for wrap in (lambda: ModuleEmbedder(module, PREPROCESSING), lambda: wrapped(module)):
        with pytest.raises(InputError, match=r"2 of the module's 2 weights are on the meta device.*layer.weight"):
            wrap()


def test_half_weights_are_no_float32_export() -> None:
    module = nn.Sequential(Cast(torch.bfloat16), Net().bfloat16(), Cast(torch.float32))
    assert ModuleEmbedder(module, PREPROCESSING).embed(IMAGES).dtype == np.float32
    with pytest.raises(InputError, match=r"float32 weights, got 1.layer.weight in bfloat16, .*: call its .float\(\)"):
        from_module(module, PREPROCESSING, SPACE, name="net")


class Cast(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.to(self.dtype)


class InPlace(nn.Module):
    """Works on the bytes that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images.bitwise_not_().permute(0, 3, 1, 2).float() / 255)


def test_a_module_that_works_in_place_leaves_the_images_alone() -> None:
    before = IMAGES.copy()
    for each in wrapped(InPlace(), takes="uint8"):
        first = each.embed(IMAGES)
        assert np.array_equal(IMAGES, before)
        assert np.array_equal(each.embed(IMAGES), first)


def test_outputs_in_words() -> None:
    many = tuple(torch.zeros(1) for _ in range(6))
    assert described(many) == "a tuple of float32 [1], float32 [1], float32 [1], float32 [1], and 2 more"
    assert described({}) == "a dict of nothing"
    assert described(np.zeros(3)) == "an array of float64 [3]"
    assert described(object()) == "an object of type object"


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (None, "got None"),
        ([[1.0, 0.0]], "got a list of a list"),
        (torch.ones(1, 2), r"got float32 \[1, 2\]: convert it"),
        (np.ones((1, 2), np.int8), r"got an array of int8 \[1, 2\]"),
    ],
)
def test_anybodys_model_gets_the_same_message(vectors: Any, message: str) -> None:
    class Anybody:
        space = SPACE
        preprocessing = PREPROCESSING

        def embed(self, images: np.ndarray) -> Any:
            return vectors

    with pytest.raises(InputError, match=f"must return a float32 array of vectors .b, d., {message}"):
        embed_all(Anybody(), IMAGES[:1])


def test_wider_arrays_are_rounded() -> None:
    class Wide:
        space = SPACE
        preprocessing = PREPROCESSING

        def embed(self, images: np.ndarray) -> Any:
            return np.full((len(images), 4), 3.0)

    assert np.array_equal(embed_all(Wide(), IMAGES), np.full((5, 4), 0.5, np.float32))
