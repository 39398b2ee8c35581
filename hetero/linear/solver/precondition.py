"""Approximate inverses of H, which speed up conjugate gradients.

With ``B`` and ``A`` a layer's Kronecker factors and ``V`` its block of a vector, the inverse of ``B x A + lambda`` is

    ``U_B [(U_B' V U_A) / (s_B s_A' + lambda)] U_A'``

in the factors' eigenbases. Grouped convolutions, including depthwise ones, use the block of each output channel, and
all other weights (of batch norms, generalised means, biases) their diagonal of H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.directions import output_directions
from hetero.linear.solver.factors import Layerwise, layerwise
from hetero.linear.solver.linearised import Linearised, Weights
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Preconditioner

ANCHOR_DRAWS = 8
DRAWS = 4
"""Output directions an image."""


def diagonal(problem: Problem, *, draws: int = DRAWS, seed: int = 0) -> Preconditioner:
    """Divide by the diagonal of H.

    Args:
        problem: The problem, including its ridge.
        draws: Output directions an image; with as many as the dimension, the diagonal is exact.
        seed: Seed of the directions.
    """
    model = problem.model
    values = model.joined(diagonals(problem, list(model.weights), draws=draws, seed=seed)) + problem.ridge
    return lambda vector: vector / values


def kronecker(problem: Problem, *, draws: int = DRAWS, seed: int = 0) -> Callable[[float], Preconditioner]:
    """Divide by Kronecker-factored blocks, by blocks of channels, and by the diagonal where there are neither.

    Args:
        problem: The problem; its ridge is not used.
        draws: As for :func:`diagonal`.
        seed: As for :func:`diagonal`.

    Returns:
        A function from a ridge to its preconditioner: factors and their eigenbases serve every ridge.
    """
    model, held, weight = problem.model, problem.held, problem.anchor_weight
    curvature = blockwise(problem, draws=draws, seed=seed)
    factors, blocks, rest = curvature.factors, curvature.blocks, curvature.diagonals
    if held is not None:
        factors = held.beside(factors, weight)
        blocks = {name: block + weight * held.channels[name] for name, block in blocks.items()}
        rest = {name: value + weight * held.diagonals[name] for name, value in rest.items()}
    bases = {name: (_eigenbasis(pair.outputs), _eigenbasis(pair.inputs)) for name, pair in factors.items()}
    channels = {name: _eigenbasis(block) for name, block in blocks.items()}

    def with_ridge(ridge: float) -> Preconditioner:
        def apply(vector: Tensor) -> Tensor:
            pieces: Weights = {}
            for name, block in model.parts(vector).items():
                if name in rest:
                    pieces[name] = block / (rest[name] + ridge)
                elif name in channels:
                    s, U = channels[name]
                    along = (U.mT @ block.flatten(start_dim=1)[..., None]) / (s[..., None] + ridge)
                    pieces[name] = (U @ along).view_as(block)
                else:
                    (s_B, U_B), (s_A, U_A) = bases[name]
                    along = (U_B.T @ block.flatten(start_dim=1) @ U_A) / (torch.outer(s_B, s_A) + ridge)
                    pieces[name] = (U_B @ along @ U_A.T).view_as(block)
            return model.joined(pieces)

        return apply

    return with_ridge


def _eigenbasis(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Compute eigenvalues and eigenvectors of a factor, or of several."""
    try:
        values, vectors = torch.linalg.eigh(factor)
    except RuntimeError:
        # LAPACK's float32 fails to converge (LinAlgError) on some factors of few images, whose rank is low.
        values, vectors = torch.linalg.eigh(factor.double())
    # Rounding leaves eigenvalues a little below zero.
    return values.clamp(min=0).to(factor.dtype), vectors.to(factor.dtype)


def blockwise(problem: Problem, *, draws: int, seed: int = 0) -> Layerwise:
    """Compute H block by block, without its ridge and without factors of anchors; every weight is in one kind.

    Args:
        problem: Provides images and their weights.
        draws: As for :func:`diagonal`.
        seed: As for :func:`diagonal`.
    """
    layers = layerwise(problem.model, problem.examples, draws=draws, seed=seed)
    covered = {*layers.factors, *layers.blocks, *layers.diagonals}
    others = [name for name in problem.model.weights if name not in covered]
    return replace(layers, diagonals={**layers.diagonals, **diagonals(problem, others, draws=draws, seed=seed)})


def diagonals(problem: Problem, names: Sequence[str], *, draws: int, seed: int = 0) -> Weights:
    """Compute the diagonal of H without its ridge, by weight tensor.

    Args:
        problem: Provides images and their weights.
        names: Names of the weight tensors.
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


def anchor_factors(model: Linearised, images: Float[Tensor, "m ..."], *, draws: int = ANCHOR_DRAWS) -> AnchorFactors:
    """Compute the factors that replace anchors, for which their images are needed one last time.

    Args:
        model: The network around the weights by which the old vectors were embedded.
        images: [m, ...], inputs of the anchors.
        draws: Output directions an image; with as many as the dimension, the outputs' factors are exact.
    """
    curvature = blockwise(Problem(model, images, model.origin(images), 1.0), draws=draws)
    return AnchorFactors(curvature.factors, curvature.blocks, curvature.diagonals, len(images))
