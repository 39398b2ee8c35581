from __future__ import annotations

import dataclasses

import pytest
import torch

from hetero.errors import InputError
from hetero.linear.solver.dual import Dual
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from tests.hetero.linear.nets import dense_jacobian, images, net, targets

COUNT, RIDGE = 6, 0.02


@pytest.fixture(scope="module")
def dual() -> Dual:
    return Dual.of(Problem(Linearised(net(), dtype=torch.float64), images(COUNT), targets(COUNT), RIDGE))


def retrained(problem: Problem, rows: list[int]) -> torch.Tensor:
    """The primal closed form on these images alone, the ridge the same sum."""
    J = dense_jacobian(problem.model, problem.inputs[rows])
    with torch.no_grad():
        missed = (problem.targets[rows] - problem.model.module(problem.inputs[rows])).reshape(-1)
    H = J.T @ J + COUNT * RIDGE * torch.eye(J.shape[1], dtype=torch.float64)
    return torch.linalg.solve(H, J.T @ missed)


def test_it_is_the_solution_of_the_weights(dual):
    assert torch.allclose(dual.change, retrained(dual.problem, list(range(COUNT))), atol=1e-10)


def test_leaving_one_out_equals_retraining(dual):
    problem, found = dual.problem, dual.left_out()
    for row in range(COUNT):
        change = retrained(problem, [other for other in range(COUNT) if other != row])
        answer = problem.model(problem.inputs[row : row + 1], change)[0]
        assert (found[row] - (problem.targets[row] - answer)).abs().max() <= 1e-8
    assert (found - problem.residuals).abs().max() > 1e-3


@pytest.mark.parametrize("gone", [[2], [4, 0], [0, 1, 2, 3, 4]])
def test_deletion_equals_retraining(dual, gone):
    kept = [row for row in range(COUNT) if row not in gone]
    found = dual.without(gone)
    assert (found - retrained(dual.problem, kept)).abs().max() <= 1e-8
    assert (found - dual.change).abs().max() > 1e-3


def test_nothing_left_out_is_the_solution(dual):
    assert torch.equal(dual.without([]), dual.change)


def test_leverage_is_the_share_of_its_own_target_in_an_answer(dual):
    problem, row = dual.problem, 3
    moved = problem.targets.clone()
    shares = []
    for axis in range(3):
        moved[row] = problem.targets[row]
        moved[row, axis] += 1
        change = Dual.of(dataclasses.replace(problem, targets=moved)).change
        inputs = problem.inputs[row : row + 1]
        shares.append((problem.model(inputs, change) - problem.model(inputs, dual.change))[0, axis])
    assert float(dual.leverages()[row]) == pytest.approx(float(sum(shares)) / 3, abs=1e-9)


def test_what_it_cannot_do_is_refused(dual):
    problem = dual.problem
    with pytest.raises(InputError, match="anchors: expected none"):
        Dual.of(dataclasses.replace(problem, anchors=images(2)))
    with pytest.raises(InputError, match="expected float64, got float32"):
        Dual.of(dataclasses.replace(problem, model=Linearised(net())))
    with pytest.raises(InputError, match="at most 4096 outputs"):
        Dual.of(dataclasses.replace(problem, inputs=images(1400), targets=targets(1400)))
    for rows in ([7], [1, 1], list(range(COUNT))):
        with pytest.raises(InputError, match="each once, and not all of them"):
            dual.without(rows)
