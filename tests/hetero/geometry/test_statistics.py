"""Figures of synthetic clouds whose answers are known."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.geometry import classes, neighbours
from hetero.geometry.directions import suggested_directions
from hetero.geometry.neighbours import neighbour_statistics
from hetero.geometry.statistics import space_statistics
from tests.hetero.geometry.clouds import isotropic, low_dimensional, rotation


def test_a_flat_spectrum_fills_its_space():
    found = space_statistics(isotropic())
    assert found.effective_dimension == pytest.approx(16, rel=0.02)
    assert (found.directions[0.5], found.directions[0.95]) == (8, 16)
    assert found.mean_length < 0.05
    assert found.lengths.is_unit and found.constant == found.duplicates == found.not_finite == found.zero == 0


def test_a_known_spectrum():
    # Two points each on four axes: variances 2 w / 8 for weights w of 1, so all four alike; the other axes hold none.
    vectors = np.concatenate([np.eye(6)[:4], -np.eye(6)[:4]])
    found = space_statistics(vectors)
    assert found.mean_length == pytest.approx(0, abs=1e-12)
    assert found.effective_dimension == pytest.approx(4)
    assert found.directions == {0.5: 2, 0.75: 3, 0.9: 4, 0.95: 4}
    assert found.constant == 2


def test_an_uncentred_cloud_of_few_directions():
    found = space_statistics(low_dimensional())
    vectors = low_dimensional().astype(np.float64)
    assert found.mean_length == pytest.approx(np.linalg.norm(vectors.mean(axis=0)), abs=1e-6)
    assert found.mean_length > 0.5
    assert found.directions[0.95] <= 5 < found.dimension
    assert found.effective_dimension < 5


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_figures_do_not_depend_on_the_frame(seed):
    vectors = low_dimensional(count=120).astype(np.float64)
    labels = np.arange(120) % 3
    before, after = (space_statistics(each, labels) for each in (vectors, vectors @ rotation(32, seed)))
    assert after.effective_dimension == pytest.approx(before.effective_dimension, rel=1e-4)
    assert after.directions == before.directions
    assert after.mean_length == pytest.approx(before.mean_length, abs=1e-6)
    assert after.neighbours.nearest == pytest.approx(before.neighbours.nearest, abs=1e-5)
    assert after.neighbours.hubness == pytest.approx(before.neighbours.hubness, abs=0.05)
    assert after.classes is not None and before.classes is not None
    assert after.classes.same == pytest.approx(before.classes.same, abs=1e-5)


@settings(max_examples=10)
@given(st.floats(1e-3, 1e3))
def test_lengths_are_told_and_then_do_not_matter(factor):
    vectors = low_dimensional(count=60)
    before, after = space_statistics(vectors), space_statistics(vectors * np.float32(factor))
    assert after.lengths.median == pytest.approx(factor, rel=1e-4)
    assert after.mean_length == pytest.approx(before.mean_length, abs=1e-5)
    assert after.directions == before.directions


def test_a_hub():
    # Points on a sphere's equator planes, far from each other, and one that is nearest to all: their mean.
    vectors = np.concatenate([np.eye(40), np.full((1, 40), 40**-0.5)]).astype(np.float32)
    found = neighbour_statistics(vectors)
    assert found.largest_hub == 40
    assert found.hubness > 1
    assert neighbour_statistics(isotropic(count=1000, dimension=3)).hubness < 0.5


def test_hubness_is_the_skewness_of_the_counts(monkeypatch):
    monkeypatch.setattr(neighbours, "NEIGHBOURS", 1)
    angles = np.deg2rad([0.0, 10.0, 25.0, 90.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    # Nearest: 0 -> 10, 10 -> 0, 25 -> 10, 90 -> 25; found 1, 2, 1 and 0 times: symmetric around 1.
    found = neighbour_statistics(vectors)
    assert (found.largest_hub, found.never_found, found.hubness) == (2, 0.25, pytest.approx(0, abs=1e-12))
    assert found.nearest == pytest.approx((np.cos(np.deg2rad(10)) + np.cos(np.deg2rad(15))) / 2, abs=1e-6)


def test_equal_and_nearly_equal_vectors():
    vectors = isotropic(count=50)
    near = vectors[:3] + np.float32(1e-3) * isotropic(count=53)[50:]
    found = space_statistics(np.concatenate([vectors, vectors[10:14], vectors[10:11], near]))
    assert found.duplicates == 5
    assert found.neighbours.near_duplicates == 6
    # A duplicate does not count as a neighbour.
    assert found.neighbours.nearest < 0.95


def test_all_equal():
    found = space_statistics(np.ones((5, 4), np.float32))
    assert (found.duplicates, found.constant, found.mean_length) == (4, 4, pytest.approx(1))
    assert (found.effective_dimension, set(found.directions.values())) == (0, {0})
    assert found.neighbours.contrast == 0
    assert suggested_directions(found) == 0


def test_what_has_no_direction_is_counted_and_left_out():
    vectors = low_dimensional(count=30)
    whole = space_statistics(vectors)
    broken = np.concatenate([vectors, np.zeros((2, 32), np.float32), np.full((1, 32), np.nan, np.float32)])
    broken[-1, 3:] = 1.0
    found = space_statistics(broken, labels=np.arange(33) % 2)
    assert (found.count, found.zero, found.not_finite) == (33, 2, 1)
    assert found.mean_length == pytest.approx(whole.mean_length)
    assert found.directions == whole.directions
    with pytest.raises(InputError, match=r"got 0: of 3, 1 are not finite and 2 are zero"):
        space_statistics(broken[30:])
    with pytest.raises(InputError, match="a label for each of 33 vectors, got 2"):
        space_statistics(broken, labels=["a", "b"])


def test_classes_by_brute_force():
    generator = np.random.default_rng(4)
    labels = np.repeat(np.arange(5), 6)
    vectors = generator.normal(size=(5, 8))[labels] + 0.7 * generator.normal(size=(30, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = space_statistics(vectors, [f"class {label}" for label in labels]).classes
    centred = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines, same = centred @ centred.T, labels[:, None] == labels
    assert found.same == pytest.approx(cosines[same & ~np.eye(30, dtype=bool)].mean(), abs=1e-6)
    assert found.other == pytest.approx(cosines[~same].mean(), abs=1e-6)
    scores = vectors @ vectors.T - 2 * np.eye(30)
    assert found.cmc_at_1 == pytest.approx((labels[scores.argmax(axis=1)] == labels).mean())
    assert (found.classes, found.queries) == (5, 30)


def test_classes_of_one_image_are_nobodys_queries():
    assert space_statistics(isotropic(count=6), np.arange(6)).classes is None
    found = space_statistics(isotropic(count=6), np.array([0, 0, 1, 2, 3, 4])).classes
    assert (found.classes, found.queries) == (5, 2)


def test_a_sample_says_that_it_is_one(monkeypatch):
    monkeypatch.setattr(neighbours, "NEIGHBOUR_ROWS", 100)
    monkeypatch.setattr(classes, "NEIGHBOUR_ROWS", 100)
    one, two = (space_statistics(isotropic(), np.arange(2000) % 4) for _ in range(2))
    assert one == two
    assert (one.count, one.neighbours.rows, one.classes.queries) == (2000, 100, 100)


def test_the_record_is_json():
    found = space_statistics(low_dimensional(count=40), np.arange(40) % 2).to_dict()
    assert json.loads(json.dumps(found))["directions"]["0.95"] <= 5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 16),
        ({"effective_dimension": 10.7}, 16),
        ({"effective_dimension": 11.4}, 24),
        ({"effective_dimension": 1.0}, 8),
        ({"effective_dimension": 21.0}, 32),
        ({"effective_dimension": 22.0}, 0),
        ({"covariance_rows": 17}, 16),
        ({"covariance_rows": 16}, 0),
        ({"dimension": 30}, 0),
    ],
)
def test_the_rule_for_the_last_layer(changes, expected):
    base = dataclasses.replace(
        space_statistics(isotropic(count=10)), dimension=64, effective_dimension=8.0, covariance_rows=500
    )
    assert suggested_directions(dataclasses.replace(base, **changes)) == expected


@pytest.mark.parametrize(("macs", "expected"), [(10**9, 24), (7_680, 24), (7_679, 16), (5_120, 16), (320, 8), (0, 8)])
def test_a_fifth_of_the_budget_expands_coefficients(macs, expected):
    base = space_statistics(isotropic(count=10))
    changed = dataclasses.replace(base, dimension=64, effective_dimension=14.0, covariance_rows=500)
    assert suggested_directions(changed, macs=macs) == expected
    full = dataclasses.replace(changed, effective_dimension=60.0)
    assert suggested_directions(full, macs=macs) == 0
