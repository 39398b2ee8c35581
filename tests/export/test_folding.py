"""Constant folding: what weights alone decide is computed once, and stored only where that is worth it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.capture.folding import ALWAYS, GROWTH
from export.capture.program import capture

EXAMPLE = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
IMAGE = torch.randint(0, 256, (1, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Adds(nn.Module):
    """Adds something made of weights to the pixels."""

    def __init__(self, make: Any, *shape: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(0)))
        self.make = make

    def forward(self, image: Tensor) -> Tensor:
        return image.permute(0, 3, 1, 2).float() + self.make(self.table)


def operators(program: Any) -> set[str]:
    return {node.target.overloadpacket.__name__ for node in program.graph.nodes if node.op == "call_function"}


def stored(program: Any) -> int:
    """Bytes that the folded constants take."""
    return sum(value.nbytes for name, value in program.state_dict.items() if name.startswith("folded"))


def resized(table: Tensor) -> Tensor:
    return F.interpolate(table, (8, 8), mode="bicubic", antialias=True)


@pytest.mark.parametrize("side", [8, 6])
@pytest.mark.parametrize("any_batch", [False, True])
def test_a_resized_position_embedding_needs_no_resize(side: int, any_batch: bool) -> None:
    net = Adds(resized, 1, 3, side, side)
    program = capture(net, EXAMPLE, any_batch=any_batch)
    assert operators(program) - {"_assert_tensor_metadata"} == {"permute", "to", "add"}
    assert torch.equal(program.module()(IMAGE), net(IMAGE))


def test_normalised_weights_are_computed_once() -> None:
    net = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(192, 4)))
    module = Adds(torch.zeros_like, 3, 1, 1)
    program = capture(nn.Sequential(module, net).eval(), EXAMPLE)
    assert not operators(program) & {"_weight_norm", "_weight_norm_interface"}
    assert stored(program) >= 192 * 4 * 4
    assert torch.equal(program.module()(IMAGE), net(module(IMAGE)))


def test_an_expanded_constant_is_not_stored() -> None:
    net = Adds(lambda table: table.exp().expand(1, 3, 8, 8), 3, 1, 1)
    program = capture(net, EXAMPLE)
    assert stored(program) == 3 * 4
    assert "expand" in operators(program)
    assert torch.equal(program.module()(IMAGE), net(IMAGE))


def test_what_grows_beyond_the_bound_stays_in_the_graph() -> None:
    net = Adds(lambda table: (table[:, None] * table[None]).sum().expand(3, 8, 8), ALWAYS // 4)
    program = capture(net, EXAMPLE)
    assert stored(program) <= GROWTH * ALWAYS
    large = Adds(lambda table: (table[:, None] * table[None])[:8, :8], ALWAYS // 4)
    assert "mul" in operators(capture(large, EXAMPLE))


def test_views_of_weights_are_left() -> None:
    net = Adds(lambda table: table[:, 1:].permute(0, 2, 1), 3, 9, 8)
    assert stored(capture(net, EXAMPLE)) == 0


def written(table: Tensor) -> Tensor:
    mask = torch.zeros(8, 8)
    first = mask + 1
    mask[:4] = 3
    return table * 2 + mask * 2 + first


def test_what_is_written_in_place_is_left() -> None:
    net = Adds(written, 3, 1, 1)
    program = capture(net, EXAMPLE)
    assert "fill_" in operators(program)
    assert torch.equal(program.module()(IMAGE), net(IMAGE))


def test_random_numbers_stay_random() -> None:
    net = Adds(lambda table: torch.bernoulli(torch.full((8, 8), 0.5) * table.abs().sum().clamp(1, 1)), 3)
    assert "bernoulli" in operators(capture(net, EXAMPLE))


def test_what_has_nothing_to_fold_is_captured_as_before() -> None:
    net = Adds(torch.Tensor.view_as, 3, 1, 1)
    net.make = lambda table: table
    assert operators(capture(net, EXAMPLE)) - {"_assert_tensor_metadata"} == {"permute", "to", "add"}
    assert stored(capture(net, EXAMPLE)) == 0
