"""Approximate inverses of H, which conjugate gradients go faster with.

With ``B`` and ``A`` a layer's Kronecker factors and ``V`` its block of a vector, the inverse of ``B x A + lambda`` is

    ``U_B [(U_B' V U_A) / (s_B s_A' + lambda)] U_A'``

in the factors' eigenbases. Grouped convolutions, depthwise ones among them, take the block of each output channel, and
what else there is (of batch norms, generalised means, biases) its diagonal of H.
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
        problem: Its ridge counts.
        draws: Output directions an image; as many as the dimension make the diagonal exact.
        seed: Of the directions.
    """
    model = problem.model
    found = model.joined(diagonals(problem, list(model.weights), draws=draws, seed=seed)) + problem.ridge
    return lambda vector: vector / found


def kronecker(problem: Problem, *, draws: int = DRAWS, seed: int = 0) -> Callable[[float], Preconditioner]:
    """Divide by Kronecker-factored blocks, by blocks of channels, and by the diagonal where there are neither.

    Args:
        problem: Its ridge does not count.
        draws: As for :func:`diagonal`.
        seed: As for :func:`diagonal`.

    Returns:
        A ridge to its preconditioner: factors and their eigenbases serve every ridge.
    """
    model, held, weight = problem.model, problem.held, problem.anchor_weight
    known = blockwise(problem, draws=draws, seed=seed)
    factors, blocks, rest = known.factors, known.blocks, known.diagonals
    if held is not None:
        factors = held.beside(factors, weight)
        blocks = {name: block + weight * held.channels[name] for name, block in blocks.items()}
        rest = {name: value + weight * held.diagonals[name] for name, value in rest.items()}
    bases = {name: (_eigenbasis(one.outputs), _eigenbasis(one.inputs)) for name, one in factors.items()}
    channels = {name: _eigenbasis(block) for name, block in blocks.items()}

    def with_ridge(ridge: float) -> Preconditioner:
        def apply(vector: Tensor) -> Tensor:
            done: Weights = {}
            for name, block in model.parts(vector).items():
                if name in rest:
                    done[name] = block / (rest[name] + ridge)
                elif name in channels:
                    s, U = channels[name]
                    along = (U.mT @ block.flatten(start_dim=1)[..., None]) / (s[..., None] + ridge)
                    done[name] = (U @ along).view_as(block)
                else:
                    (s_B, U_B), (s_A, U_A) = bases[name]
                    along = (U_B.T @ block.flatten(start_dim=1) @ U_A) / (torch.outer(s_B, s_A) + ridge)
                    done[name] = (U_B @ along @ U_A.T).view_as(block)
            return model.joined(done)

        return apply

    return with_ridge


def _eigenbasis(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a factor, or of several."""
    try:
        values, vectors = torch.linalg.eigh(factor)
    except RuntimeError:
        # LAPACK's float32 fails to converge on some factors of few images, whose rank is low (LinAlgError).
        values, vectors = torch.linalg.eigh(factor.double())
    # Rounding leaves eigenvalues a little below zero.
    return values.clamp(min=0).to(factor.dtype), vectors.to(factor.dtype)


def blockwise(problem: Problem, *, draws: int, seed: int = 0) -> Layerwise:
    """What is known of H without its ridge and without what stands in for anchors; every weight is in one kind.

    Args:
        problem: Gives images and their weights.
        draws: As for :func:`diagonal`.
        seed: As for :func:`diagonal`.
    """
    seen = layerwise(problem.model, problem.examples, draws=draws, seed=seed)
    unknown = [name for name in problem.model.weights if name not in {*seen.factors, *seen.blocks, *seen.diagonals}]
    return replace(seen, diagonals={**seen.diagonals, **diagonals(problem, unknown, draws=draws, seed=seed)})


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


def anchor_factors(model: Linearised, images: Float[Tensor, "m ..."], *, draws: int = ANCHOR_DRAWS) -> AnchorFactors:
    """Compute what stands in for anchors, which takes their images one last time.

    Args:
        model: Around the weights that old vectors were embedded with.
        images: [m, ...], inputs of the anchors.
        draws: Output directions an image; as many as the dimension make the outputs' factors exact.
    """
    known = blockwise(Problem(model, images, model.origin(images), 1.0), draws=draws)
    return AnchorFactors(known.factors, known.blocks, known.diagonals)
