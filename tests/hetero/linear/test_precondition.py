from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hetero.data.sources.emoji_fonts import EmojiFonts
from hetero.linear.parts import divided
from hetero.linear.solver.directions import output_directions
from hetero.linear.solver.factors import has_factors, layerwise
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import diagonals, kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import solve
from tests.hetero.linear.nets import dense_jacobian, embedding_model, images, net, targets


def weighted_curvature(model: Linearised, examples) -> torch.Tensor:
    total = torch.zeros(model.size, model.size, dtype=torch.float64)
    for inputs, weight in examples:
        J = dense_jacobian(model, inputs)
        total += weight * J.T @ J
    return total


def test_diagonals_are_those_of_the_dense_curvature():
    model = Linearised(net(), dtype=torch.float64)
    problem = Problem(model, images(6), targets(6), 0.1, images(3, seed=1), 0.5)
    found = model.joined(diagonals(problem, list(model.weights), draws=3))
    assert torch.allclose(found, weighted_curvature(model, problem.examples).diagonal(), atol=1e-12)


def test_drawn_directions_are_right_on_average():
    outer = torch.zeros(4, 4)
    for directions in output_directions(500, 4, 3, seed=0):
        outer += directions.T @ directions / 500
    assert torch.allclose(outer, torch.eye(4), atol=0.1) and torch.allclose(outer.diagonal(), torch.ones(4))
    axes = torch.stack(list(output_directions(1, 4, 9)))[:, 0]
    assert torch.equal(axes, torch.eye(4))


def test_factors_of_a_linear_network_by_hand():
    layer = nn.Linear(3, 2, bias=False)
    model = Linearised(layer, dtype=torch.float64)
    new, old = (torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (5, 4))
    found = layerwise(model, [(new, 0.2), (old, 0.5)], draws=2).factors["weight"]
    total = 5 * 0.2 + 4 * 0.5
    assert torch.allclose(found.inputs, (0.2 * new.T @ new + 0.5 * old.T @ old) / total)
    assert torch.allclose(found.outputs, total * torch.eye(2, dtype=torch.float64))


def test_the_blocks_of_a_linear_network_are_exact():
    layer = nn.Linear(3, 2, bias=False)
    model = Linearised(layer, dtype=torch.float64)
    inputs = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    problem = Problem(model, inputs, torch.zeros(5, 2, dtype=torch.float64), 0.3)
    H = weighted_curvature(model, problem.examples) + 0.3 * torch.eye(6, dtype=torch.float64)
    vector = torch.arange(6, dtype=torch.float64)
    assert torch.allclose(kronecker(problem, draws=2)(0.3)(H @ vector), vector)


def assert_exact(layer: nn.Module, *, side: int, outputs: int, weights: int) -> None:
    """A layer's preconditioner is the inverse of H, by images of two channels."""
    model = Linearised(layer, dtype=torch.float64)
    inputs = torch.randn(5, 2, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    problem = Problem(model, inputs, torch.zeros(5, outputs, dtype=torch.float64), 0.3)
    H = weighted_curvature(model, problem.examples) + 0.3 * torch.eye(weights, dtype=torch.float64)
    vector = torch.arange(weights, dtype=torch.float64)
    assert torch.allclose(kronecker(problem, draws=outputs)(0.3)(H @ vector), vector)


def test_a_convolution_of_one_position_is_exact():
    layer = nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.Flatten())
    assert_exact(layer, side=2, outputs=3, weights=24)


def test_blocks_and_diagonals_of_layers_are_those_of_the_dense_curvature():
    model = Linearised(net(), dtype=torch.float64, batch_size=4)
    examples = [(images(6), 0.2), (images(3, seed=1), 0.5)]
    H = weighted_curvature(model, examples)
    numbered = model.parts(torch.arange(model.size, dtype=torch.float64))
    places = {name: rows.reshape(-1).long() for name, rows in numbered.items()}
    found = layerwise(model, examples, draws=3)
    assert set(found.factors) == {"first.weight", "last.weight"} and set(found.blocks) == {"depthwise.weight"}
    assert set(found.diagonals) == {"norm.weight", "norm.bias", "pool.power", "last.bias"}
    for name, one in found.diagonals.items():
        assert torch.allclose(one.reshape(-1), H.diagonal()[places[name]], atol=1e-12)
    for one, rows in zip(found.blocks["depthwise.weight"], places["depthwise.weight"].split(9), strict=True):
        assert one.shape == (9, 9) and torch.allclose(one, H[rows][:, rows], atol=1e-12)


def test_a_depthwise_convolution_is_exact():
    layer = nn.Sequential(nn.Conv2d(2, 2, 2, groups=2, bias=False), nn.Flatten())
    assert_exact(layer, side=3, outputs=8, weights=8)


def test_preconditioners_are_symmetric_and_positive():
    model = Linearised(net(), dtype=torch.float64)
    problem = Problem(model, images(6), targets(6), 0.01)
    apply = kronecker(problem, draws=1)(0.01)
    matrix = torch.stack([apply(axis) for axis in torch.eye(model.size, dtype=torch.float64)])
    assert torch.allclose(matrix, matrix.T) and torch.linalg.eigvalsh(matrix).min() > 0


class Padded(nn.Conv2d):
    """Pads in its own way, as EfficientNet-Lite's convolutions do."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(images, (0, 1, 0, 1)))


def test_only_plain_layers_that_mix_all_channels_have_factors():
    layers = (net().first, net().last, net().depthwise, net().norm, Padded(2, 3, 3))
    assert [has_factors(layer) for layer in layers] == [True, True, False, False, False]


def test_ten_steps_with_factors_beat_twenty_without_on_drawn_emoji():
    fonts, model = EmojiFonts(), embedding_model()
    codes = fonts.codepoints()[::40]

    def drawn(design: str) -> np.ndarray:
        return np.stack([fonts.draw(code, design, 16) for code in codes])

    two = divided(model, "all")
    new, old = (two.inputs(drawn(design)) for design in ("line", "openmoji"))
    wanted = model(torch.from_numpy(drawn("noto"))).detach()
    problem = Problem(Linearised(two.upper), new, wanted, 0.001, old, 1.0)
    plain = solve(problem, steps=20).objectives
    factored = solve(problem, kronecker(problem)(problem.ridge), steps=10).objectives
    assert factored[10] < plain[20] < 0.95 * plain[0]
