"""Rotations by hand, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.compact.rotation import fitted, principal_rotation, quantisation_rotation
from hetero.errors import InputError
from tests.hetero.geometry.clouds import low_dimensional


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_principal_directions_around_zero_by_hand() -> None:
    # mean x x' of vectors at 0, 60 and 60 degrees has the axes of an ellipse at 40.893 degrees: tan 2a = sin 120 / .5.
    rotation = principal_rotation(at(0, 60, 60))
    angle = np.degrees(np.arctan2(np.sin(np.radians(120)) * 2, 1 + 2 * np.cos(np.radians(120)))) / 2
    np.testing.assert_allclose(np.abs(rotation.matrix[:, 0]), np.abs(at(angle)[0]), atol=1e-6)
    # Around their mean the same vectors spread along another direction, at 120 degrees.
    assert abs(float(rotation.matrix[:, 0] @ at(120)[0])) < 0.6
    np.testing.assert_allclose(rotation.matrix.T @ rotation.matrix, np.eye(2), atol=1e-6)


def test_cosines_stay_and_the_first_coordinates_keep_most_of_them() -> None:
    vectors = low_dimensional(dimension=32, rank=6)
    rotation = principal_rotation(vectors)
    np.testing.assert_allclose(rotation(vectors, 32) @ rotation(vectors, 32).T, vectors @ vectors.T, atol=1e-5)

    def error(some: np.ndarray) -> float:
        return float(np.square(some @ some.T - vectors @ vectors.T).sum())

    assert error(vectors @ rotation.matrix[:, :7]) < 1e-5 < error(vectors[:, :7])
    np.testing.assert_allclose(np.linalg.norm(rotation(vectors, 7), axis=1), 1, atol=1e-6)


def test_signs_of_a_turned_square_are_its_corners_again() -> None:
    # The corners of a square, turned by 30 degrees: principal directions are undefined, ITQ finds the corners.
    rotation = quantisation_rotation(at(75, 165, 255, 345), 2)
    turned = at(75, 165, 255, 345) @ rotation.matrix
    np.testing.assert_allclose(np.abs(turned), np.sqrt(0.5), atol=1e-5)
    assert len({tuple(row) for row in np.sign(turned).tolist()}) == 4


def test_signs_after_itq_are_nearer_than_after_pca() -> None:
    vectors = low_dimensional(dimension=32, rank=8)

    def error(matrix: np.ndarray) -> float:
        kept = vectors @ matrix
        kept = kept - kept.mean(axis=0)
        return float(np.square(np.where(kept >= 0, 1, -1) - kept).sum())

    itq = quantisation_rotation(vectors, 8).matrix
    assert error(itq) < error(principal_rotation(vectors).matrix[:, :8]) - 1
    np.testing.assert_allclose(itq.T @ itq, np.eye(8), atol=1e-5)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="expected 1 to 31 for a space of 32, got 32"):
        fitted(low_dimensional(dimension=32, rank=6), 32, "pca")
    with pytest.raises(InputError, match="expected at least 8 vectors"):
        fitted(low_dimensional(dimension=32, rank=6)[:7], 8, "itq")
