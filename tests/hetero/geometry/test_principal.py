"""Principal directions by hand, and that they follow their cloud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.geometry import principal
from hetero.geometry.principal import principal_directions, spread
from tests.hetero.geometry.clouds import low_dimensional, rotation


def test_two_axes_by_hand():
    points = np.array([[3.0, 1.0], [-3.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    found = spread(points)
    np.testing.assert_allclose(found.mean, [0, 1], atol=1e-15)
    np.testing.assert_allclose(found.variances, [18 / 4, 2 / 4])
    np.testing.assert_allclose(found.directions, np.eye(2), atol=1e-15)
    leading = found.leading(1)
    assert (found.dimension, found.covariance_rows) == (2, 4)
    assert found.effective_dimension == pytest.approx(25 / (81 / 4 + 1 / 4))
    assert (leading.count, leading.basis.shape) == (1, (2, 1))
    np.testing.assert_allclose(leading.std, [np.sqrt(4.5)])


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 12), st.integers(2, 40))
def test_all_directions_give_the_vectors_back_and_each_is_as_wide_as_it_says(seed, dimension, count):
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    most = min(dimension, count - 1)
    mean, basis, std = (getattr(principal_directions(vectors, most), name) for name in ("mean", "basis", "std"))
    np.testing.assert_allclose(basis.T @ basis, np.eye(most), atol=1e-9)
    coefficients = (vectors - mean) @ basis
    np.testing.assert_allclose(mean + coefficients @ basis.T, vectors, atol=1e-6)
    np.testing.assert_allclose(coefficients.std(axis=0), std, atol=1e-6)
    assert (np.diff(std) <= 1e-9).all()
    largest = np.abs(basis).argmax(axis=0)
    assert (basis[largest, np.arange(most)] > 0).all()


def test_a_turned_cloud_has_turned_directions():
    vectors, turn = low_dimensional().astype(np.float64), rotation(32, 5)
    before, after = principal_directions(vectors, 4), principal_directions(vectors @ turn, 4)
    np.testing.assert_allclose(after.std, before.std, rtol=1e-9)
    np.testing.assert_allclose(after.mean, before.mean @ turn, atol=1e-12)
    # The same plane: signs are chosen in the frame that they are told in.
    np.testing.assert_allclose(np.abs(after.basis.T @ (turn.T @ before.basis)), np.eye(4), atol=1e-6)


def test_chunks_and_samples(monkeypatch):
    vectors = low_dimensional(count=500)
    whole = spread(vectors)
    monkeypatch.setattr(principal, "_CHUNK", 7)
    np.testing.assert_allclose(spread(vectors).variances, whole.variances, rtol=1e-6, atol=1e-12)
    monkeypatch.setattr(principal, "COVARIANCE_ROWS", 300)
    part = spread(vectors)
    np.testing.assert_array_equal(part.variances, spread(vectors).variances)
    np.testing.assert_allclose(part.mean, whole.mean, atol=1e-9)
    np.testing.assert_allclose(part.variances[:4], whole.variances[:4], rtol=0.3)
    assert not np.allclose(part.variances[:4], whole.variances[:4], rtol=1e-3)


@pytest.mark.parametrize("count", [0, 9, 4])
def test_directions_that_are_not_there(count):
    vectors = np.eye(8)[:4]
    with pytest.raises(InputError, match=f"expected 1 to 3 principal directions.*got {count}"):
        principal_directions(vectors, count)
    with pytest.raises(InputError, match="at least two vectors, got 1"):
        spread(vectors[:1])
