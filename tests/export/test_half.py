"""Float16 safety on real graphs: what overflows is named, and rewritten where that is safe."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.capture.program import capture
from export.capture.source import Source, from_module
from export.conversion.half import find_hazards, make_safe
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

PREPROCESSING = Preprocessing(height=8, width=8)
SPACE = EmbeddingSpace.define(defined_by="c" * 64, name="cloud", version="1", dimension=6)


class Net(nn.Module):
    """A convolution and a mean, scaled; perhaps normalised as torch does it."""

    def __init__(self, scale: float, *, normalise: bool = False, inner: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 6, 3)
        self.scale, self.normalise, self.inner = scale, normalise, inner

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = (self.convolution(pixels) * self.inner / self.inner).mean(dim=(2, 3)) * self.scale
        return nn.functional.normalize(features) if self.normalise else features


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


def source(net: nn.Module) -> Source:
    return from_module(net, PREPROCESSING, SPACE, name="net")


def half_range(program, image: np.ndarray) -> torch.Tensor:
    """The graph with every float value rounded to float16 after each operator, as a phone does."""

    class Rounds(torch.fx.Interpreter):
        def run_node(self, n):
            result = super().run_node(n)
            if n.target == torch.ops.aten.linalg_vector_norm.default:
                squares = self.env[n.args[0]].square().half().float()
                result = squares.sum(dim=1, keepdim=True).half().float().sqrt()
            is_float = isinstance(result, torch.Tensor) and result.is_floating_point()
            return result.half().float() if is_float else result

    with torch.no_grad():
        return Rounds(program.module()).run(torch.from_numpy(image[None].copy()))


def test_a_tame_net_is_left_alone() -> None:
    net = source(Net(1.0))
    program = capture(net.module, net.example)
    safe, before, after = make_safe(program, pictures(), net.example)
    assert safe is program
    assert before == after == []


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("scale", [3e3, 1e-4])
def test_large_and_small_embeddings_are_named_and_made_safe(scale: float, normalise: bool) -> None:
    net = source(Net(scale, normalise=normalise))
    program = capture(net.module, net.example)
    expected = net.embed(pictures())
    broken = torch.cat([half_range(program, image) for image in pictures()])
    assert not torch.isfinite(broken).all() or (broken * torch.from_numpy(expected)).sum(dim=1).min() < 0.9
    safe, before, after = make_safe(program, pictures(), net.example)
    kinds = {(hazard.operator, hazard.kind) for hazard in before}
    kind = "overflow" if scale > 1 else "flush"
    operator = "aten.linalg_vector_norm.default" if normalise else "aten.square.default"
    assert (operator, kind) in kinds
    assert all(operator in str(hazard) for hazard in before if hazard.operator == operator)
    assert after == []
    rounded = torch.cat([half_range(safe, image) for image in pictures()])
    assert (rounded * torch.from_numpy(expected)).sum(dim=1).min() > 0.999
    with torch.no_grad():
        same = np.concatenate([safe.module()(torch.from_numpy(image[None].copy())).numpy() for image in pictures()])
    assert np.abs(same - expected).max() < 1e-6


def test_what_no_rewrite_reaches_stays_reported() -> None:
    net = source(Net(1.0, inner=1e6))
    program = capture(net.module, net.example)
    _, before, after = make_safe(program, pictures(), net.example)
    assert [hazard.operator for hazard in after] == ["aten.mul.Tensor"]
    assert before == after
    (text,) = map(str, after)
    assert "aten.mul.Tensor" in text
    assert "on 4 golden images, float16 ends at 65504" in text


def test_hazards_are_counted_by_image() -> None:
    net = source(Net(3e3))
    images = pictures()
    images[:3] = 127
    hazards = find_hazards(capture(net.module, net.example), images)
    assert {hazard.name: hazard.images for hazard in hazards}["square"] in (1, 4)


def test_a_module_that_gives_no_vectors() -> None:
    from hetero.errors import InputError

    with pytest.raises(InputError, match=r"one vector an image"):
        source(nn.Conv2d(3, 6, 3))


def test_a_graph_for_any_batch_is_made_safe_too() -> None:
    net = source(Net(3e3))
    program = capture(net.module, net.example, any_batch=True)
    safe, before, after = make_safe(program, pictures(), net.example, any_batch=True)
    assert before
    assert after == []
    with torch.no_grad():
        same = safe.module()(torch.from_numpy(pictures())).numpy()
    assert np.abs(same - net.embed(pictures())).max() < 1e-6


@pytest.mark.parametrize(
    ("compute", "operator", "kind"),
    [
        (lambda x: nn.functional.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention", "overflow"),
        (lambda x: nn.functional.layer_norm(x, (8,)), "layer_norm", "overflow"),
        (lambda x: nn.functional.group_norm(x, 1), "group_norm", "overflow"),
        (lambda x: nn.functional.instance_norm(x / 2.0**22, eps=1e-7), "instance_norm", "coarse"),
        (lambda x: torch.linalg.vector_norm(x, 3, dim=1), "linalg_vector_norm", "overflow"),
    ],
)
def test_what_an_operator_computes_within_is_looked_at(compute, operator: str, kind: str) -> None:
    class Layer(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return compute(image.permute(0, 3, 1, 2).float() * 16)

    hazards = find_hazards(capture(Layer(), torch.zeros(1, 8, 8, 3, dtype=torch.uint8)), pictures())
    assert (f"aten.{operator}.default", kind) in {(hazard.operator, hazard.kind) for hazard in hazards}
