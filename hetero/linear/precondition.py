"""Approximate inverses of H, which conjugate gradients go faster with.

With ``B`` and ``A`` a layer's Kronecker factors and ``V`` its block of a vector, the inverse of ``B x A + lambda`` is

    ``U_B [(U_B' V U_A) / (s_B s_A' + lambda)] U_A'``

in the factors' eigenbases. Weights that have no such factors (of batch norms, generalised means, depthwise
convolutions, biases) are divided by their diagonal of H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hetero.linear.directions import output_directions
from hetero.linear.factors import kronecker_factors
from hetero.linear.linearised import Weights
from hetero.linear.problem import Problem
from hetero.linear.solve import Preconditioner

DRAWS = 4
"""Output directions an image."""


def diagonal(problem: Problem, *, draws: int = DRAWS, seed: int = 0) -> Preconditioner:
    """Divide by the diagonal of H.

    Args:
        problem: Its ridge counts.
        draws: Output directions an image; as many as the dimension make the diagonal exact.
        seed: Of the directions.
    """
    model = problem.model
    found = model.joined(diagonals(problem, list(model.weights), draws=draws, seed=seed)) + problem.ridge
    return lambda vector: vector / found


def kronecker(problem: Problem, *, draws: int = DRAWS, seed: int = 0) -> Callable[[float], Preconditioner]:
    """Divide by Kronecker-factored blocks, and by the diagonal where there are none.

    Args:
        problem: Its ridge does not count.
        draws: As for :func:`diagonal`.
        seed: As for :func:`diagonal`.

    Returns:
        A ridge to its preconditioner: factors and their eigenbases serve every ridge.
    """
    model, held = problem.model, problem.held
    blocks = kronecker_factors(model, problem.examples, draws=draws, seed=seed)
    if held is not None:
        blocks = held.beside(blocks, problem.anchor_weight)
    bases = {name: (_eigenbasis(one.outputs), _eigenbasis(one.inputs)) for name, one in blocks.items()}
    rest = diagonals(problem, [name for name in model.weights if name not in bases], draws=draws, seed=seed)
    if held is not None:
        rest = {name: value + problem.anchor_weight * held.diagonals[name] for name, value in rest.items()}

    def with_ridge(ridge: float) -> Preconditioner:
        def apply(vector: Tensor) -> Tensor:
            done: Weights = {}
            for name, block in model.parts(vector).items():
                if name in rest:
                    done[name] = block / (rest[name] + ridge)
                    continue
                (s_B, U_B), (s_A, U_A) = bases[name]
                V = U_B.T @ block.flatten(start_dim=1) @ U_A
                done[name] = (U_B @ (V / (torch.outer(s_B, s_A) + ridge)) @ U_A.T).view_as(block)
            return model.joined(done)

        return apply

    return with_ridge


def _eigenbasis(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a factor."""
    # LAPACK's float32 fails to converge on some factors of few images, whose rank is low.
    values, vectors = torch.linalg.eigh(factor.double())
    # Rounding leaves eigenvalues a little below zero.
    return values.clamp(min=0).to(factor.dtype), vectors.to(factor.dtype)


def diagonals(problem: Problem, names: Sequence[str], *, draws: int, seed: int = 0) -> Weights:
    """The diagonal of H without its ridge, by weight tensor.

    Args:
        problem: Gives images and their weights.
        names: Of the weight tensors.
        draws: As for :func:`diagonal`.
        seed: As for :func:`diagonal`.
    """
    model = problem.model
    total = {name: torch.zeros_like(model.weights[name]) for name in names}
    if not names:
        return total
    for inputs, weight in problem.examples:
        shares = torch.full((len(inputs),), weight, dtype=model.dtype)
        dimension = problem.targets.shape[1]
        for directions in output_directions(len(inputs), dimension, draws, seed=seed, dtype=model.dtype):
            for name, value in model.squared_gradients(inputs, directions, shares, names).items():
                total[name] += value
    return total
