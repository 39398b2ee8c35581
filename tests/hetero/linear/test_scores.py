from __future__ import annotations

import dataclasses

import pytest
import torch

from hetero.linear.explanation.influence import margin_gradient
from hetero.linear.explanation.scores import Scores, mean_leverage
from hetero.linear.solver.dual import Dual
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import solve
from tests.hetero.linear.nets import dense_jacobian, images, net, targets

COUNT = 6


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(Linearised(net(), dtype=torch.float64), images(COUNT), targets(COUNT), 0.1)


def gradient(problem: Problem) -> torch.Tensor:
    return margin_gradient(problem.model, images(1, seed=6), *targets(2, seed=5))


def test_where_the_dual_fits_scores_are_of_retraining(problem):
    dual = Dual.of(problem)
    scores, found = Scores.of(problem, dual.change), gradient(problem)
    assert scores.method == "dual"
    exact = [float(found @ (dual.without([row]) - dual.change)) for row in range(COUNT)]
    assert scores.influences(found).tolist() == pytest.approx(exact, abs=1e-8)
    for row in range(COUNT):
        unseen = problem.targets[row] - problem.model(problem.inputs[[row]], dual.without([row]))[0]
        assert float(scores.residuals[row]) == pytest.approx(float(unseen.norm()), abs=1e-8)
    assert scores.leverage == pytest.approx(float(dual.leverages().mean()))


def test_with_anchors_they_are_of_first_order(problem):
    held = dataclasses.replace(problem, anchors=images(3, seed=9), anchor_weight=0.5)
    change = solve(held, steps=200, tolerance=1e-10).change
    scores, found = Scores.of(held, change, settled=0.0), gradient(held)
    assert scores.method == "conjugate gradients"
    # The derivative by the weight of an image.
    step = 1e-4
    J, Ja = (dense_jacobian(held.model, inputs) for inputs in (held.inputs, held.anchors))
    for row in (0, 4):
        weights = torch.ones(COUNT, 3, dtype=torch.float64)
        weights[row] -= step
        weighted = J.T * weights.reshape(-1) / COUNT
        H = weighted @ J + 0.5 * Ja.T @ Ja / 3 + 0.1 * torch.eye(len(change), dtype=torch.float64)
        moved = torch.linalg.solve(H, weighted @ held.residuals.reshape(-1))
        slope = float(found @ (moved - change)) / step
        assert float(scores.influences(found)[row]) == pytest.approx(slope, rel=1e-3)
    missed = held.targets - held.model(held.inputs, change)
    assert torch.allclose(scores.residuals, missed.norm(dim=1))


def test_estimated_leverage_is_near_that_of_the_dual(problem):
    exact = float(Dual.of(problem).leverages().mean())
    found = [mean_leverage(problem, steps=200, seed=seed) for seed in range(40)]
    assert sum(found) / len(found) == pytest.approx(exact, rel=0.1)
