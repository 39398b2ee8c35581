from __future__ import annotations

import pytest
import torch

from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import diagonal, kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import WINDOW, solve, solve_for, solve_ridges
from tests.hetero.linear.nets import dense_jacobian, images, net, targets

RIDGE, WEIGHT = 0.1, 2.0


@pytest.fixture(scope="module")
def problem() -> Problem:
    model = Linearised(net(), dtype=torch.float64, batch_size=9)
    return Problem(model, images(9), targets(9), RIDGE, anchors=images(5, seed=1), anchor_weight=WEIGHT)


def dense(problem: Problem) -> torch.Tensor:
    assert problem.anchors is not None
    J, Ja = (dense_jacobian(problem.model, each) for each in (problem.inputs, problem.anchors))
    with torch.no_grad():
        missed = (problem.targets - problem.model.module(problem.inputs)).reshape(-1)
    H = J.T @ J / len(problem.inputs) + WEIGHT * Ja.T @ Ja / len(problem.anchors)
    H += problem.ridge * torch.eye(len(H), dtype=torch.float64)
    return torch.linalg.solve(H, J.T @ missed / len(problem.inputs))


def preconditioned(problem: Problem, kind: str):
    return {
        "none": lambda: None,
        "diagonal": lambda: diagonal(problem, draws=3),
        "kronecker": lambda: kronecker(problem, draws=3)(problem.ridge),
        "drawn": lambda: kronecker(problem, draws=1)(problem.ridge),
    }[kind]()


@pytest.mark.parametrize("kind", ["none", "diagonal", "kronecker", "drawn"])
def test_it_is_the_closed_form(problem, kind):
    found = solve(problem, preconditioned(problem, kind), steps=200, tolerance=1e-8)
    assert (found.change - dense(problem)).norm() <= 1e-6 * found.change.norm()
    assert found.residual <= 1e-8 and found.steps < 200


def test_it_is_the_closed_form_in_float32():
    single = Problem(Linearised(net()), images(9), targets(9), RIDGE, images(5, seed=1), WEIGHT)
    double = Problem(Linearised(net(), dtype=torch.float64), images(9), targets(9), RIDGE, images(5, seed=1), WEIGHT)
    found = solve(single, kronecker(single)(RIDGE), steps=200, tolerance=1e-7)
    assert (found.change - dense(double)).norm() <= 1e-4 * found.change.norm()


def test_objectives_are_those_of_the_changes(problem):
    found = solve(problem, steps=3)
    assert found.objectives[0] == pytest.approx(problem.objective(torch.zeros_like(found.change)), rel=1e-12)
    assert found.objectives[-1] == pytest.approx(problem.objective(found.change), rel=1e-10)
    assert list(found.objectives) == sorted(found.objectives, reverse=True)
    best = dense(problem)
    nearby = best + 1e-3 * torch.randn(len(best), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert problem.objective(best) < problem.objective(nearby)


def test_far_starts_and_another_order_end_in_one_solution(problem):
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    shuffled = Problem(
        problem.model, problem.inputs[order], problem.targets[order], RIDGE, problem.anchors.flip(0), WEIGHT
    )
    ends = []
    for seed, one in ((0, problem), (1, shuffled), (2, problem)):
        drawn = torch.randn(one.model.size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        far = 10 * drawn
        ends.append(solve(one, kronecker(one, draws=3)(RIDGE), start=far, steps=300, tolerance=1e-9).change)
    assert all((one - ends[0]).norm() <= 1e-6 * ends[0].norm() for one in ends[1:])


def test_without_anchors_their_term_is_gone(problem):
    alone = Problem(problem.model, problem.inputs, problem.targets, RIDGE)
    weightless = Problem(problem.model, problem.inputs, problem.targets, RIDGE, problem.anchors, anchor_weight=0.0)
    free, held = solve(alone, steps=200).change, solve(problem, steps=200).change
    assert torch.equal(solve(weightless, steps=200).change, free)
    moved = [float(problem.model.forward_product(problem.anchors, each).norm()) for each in (free, held)]
    assert moved[1] < 0.8 * moved[0]


def test_nothing_to_do_takes_no_step(problem):
    there = Problem(problem.model, problem.inputs, problem.model.origin(problem.inputs), RIDGE)
    found = solve(there)
    assert found.steps == 0 and found.residual == 0 and not found.change.any()


def test_from_what_the_ridges_share_each_is_solved(problem):
    preconditioner = kronecker(problem, draws=3)
    for ridge, shared in solve_ridges(problem, preconditioner, (0.03, 0.3, 0.1), steps=60, tolerance=1e-10).items():
        one = problem.with_ridge(ridge)
        solution = solve(one, preconditioner(ridge), start=shared.change, steps=300, tolerance=1e-10)
        assert (solution.change - dense(one)).norm() <= 1e-6 * solution.change.norm()
        assert solution.steps < solve(one, preconditioner(ridge), steps=300, tolerance=1e-10).steps


def test_few_steps_are_the_best_within_their_space(problem):
    taken = []
    solve(problem.with_ridge(0.1), kronecker(problem, draws=3)(0.1), steps=4, history=taken)
    space = torch.stack([step for step, _ in taken])
    for ridge, solution in solve_ridges(problem, kronecker(problem, draws=3), (0.2, 0.05), steps=4).items():
        one = problem.with_ridge(ridge)
        left = one.gradient - one.curvature(solution.change)
        assert solution.steps == 4 and (space @ left).abs().max() <= 1e-10
        assert solution.residual == pytest.approx(float(left.norm() / one.gradient.norm()), rel=1e-6)
        assert solution.objectives[-1] == pytest.approx(one.objective(solution.change), rel=1e-10)
        assert list(solution.objectives) == sorted(solution.objectives, reverse=True)


def test_one_ridge_is_solved_as_alone(problem):
    found = solve_ridges(problem, kronecker(problem, draws=3), (RIDGE, RIDGE), steps=3)
    alone = solve(problem, kronecker(problem, draws=3)(RIDGE), steps=3)
    assert list(found) == [RIDGE] and torch.equal(found[RIDGE].change, alone.change)


def test_a_solve_stops_where_its_last_steps_brought_little(problem):
    right, most = problem.gradient, 13
    reached = [float(right @ solve_for(problem, right, steps=steps)) for steps in range(most + 1)]
    # b'v grows to what the closed form gives it.
    assert reached == sorted(reached) and reached[-1] < float(right @ dense(problem))
    expected = next(n for n in range(WINDOW, most) if reached[n] - reached[n - WINDOW] <= 0.1 * reached[n])
    found = float(right @ solve_for(problem, right, settled=0.1))
    assert found == pytest.approx(reached[expected], rel=1e-12) and found < reached[-1]
