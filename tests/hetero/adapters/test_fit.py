"""What each adapter recovers exactly, what it minimises, and what holds for all of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.adapters.interpolation import Interpolation, slerp
from hetero.adapters.procrustes import Procrustes
from hetero.adapters.registry import ADAPTERS, fit_adapter
from hetero.adapters.ridge import Ridge
from hetero.errors import InputError

QUICK = {"mlp": {"steps": 20, "hidden": 8}}


def unit_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rotation(dimension: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0].astype(np.float32)


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_procrustes_recovers_a_rotation_on_vectors_it_never_saw():
    turn = rotation(6, 0)
    adapter = Procrustes.fit(unit_vectors(40, 6, 1), unit_vectors(40, 6, 1) @ turn)
    fresh = unit_vectors(10, 6, 2)
    np.testing.assert_allclose(adapter(fresh), fresh @ turn, atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(4, 6), (6, 4)])
def test_procrustes_between_two_dimensions_is_as_if_the_smaller_were_padded(source, target):
    x, y = unit_vectors(50, source, 1), unit_vectors(50, target, 2)
    adapter = Procrustes.fit(x, y)
    padded = Procrustes.fit(np.pad(x, ((0, 0), (0, 6 - source))), np.pad(y, ((0, 0), (0, 6 - target))))
    np.testing.assert_allclose(adapter.rotation, padded.rotation[:source, :target], atol=1e-5)
    shorter = min(source, target)
    gram = adapter.rotation.T @ adapter.rotation if source > target else adapter.rotation @ adapter.rotation.T
    np.testing.assert_allclose(gram, np.eye(shorter), atol=1e-6)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16))
def test_no_other_rotation_is_nearer_than_procrustes(seed):
    x, y = unit_vectors(12, 3, seed), unit_vectors(12, 3, seed + 1)
    best = np.square(x @ Procrustes.fit(x, y).rotation - y).sum()
    assert best <= np.square(x @ rotation(3, seed + 2) - y).sum() + 1e-5


def test_ridge_without_penalty_recovers_an_affine_map_on_vectors_it_never_saw():
    generator = np.random.default_rng(3)
    matrix, offset = generator.normal(size=(5, 5)), generator.normal(size=5)
    target = unit_vectors(60, 5, 4)
    source = ((target - offset) @ np.linalg.inv(matrix)).astype(np.float32)
    adapter = Ridge.fit(source[:40], target[:40], penalty=0.0)
    np.testing.assert_allclose(adapter(source[40:]), target[40:], atol=1e-3)
    np.testing.assert_allclose(adapter.matrix, matrix, atol=1e-2)


def test_ridge_in_one_dimension_by_hand():
    x, y = np.array([[0.0], [2.0]], np.float32), np.array([[1.0], [3.0]], np.float32)
    # Centred both are -1 and 1: slope = 1 / (1 + penalty), through the means (1, 2).
    adapter = Ridge.fit(x, y, penalty=1.0)
    assert adapter.matrix.tolist() == [[0.5]] and adapter.offset.tolist() == [1.5]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**16), penalty=st.floats(1e-4, 10))
def test_no_other_matrix_has_a_smaller_penalised_error_than_ridge(seed, penalty):
    x, y = unit_vectors(10, 3, seed), unit_vectors(10, 2, seed + 1)
    adapter = Ridge.fit(x, y, penalty=penalty)

    def cost(matrix, offset):
        return np.square(x @ matrix + offset - y).sum(axis=1).mean() + penalty * np.square(matrix).sum()

    change = np.random.default_rng(seed).normal(size=(3, 2)) * 0.1
    best = cost(adapter.matrix, adapter.offset)
    assert best <= cost(adapter.matrix + change, adapter.offset) + 1e-6
    assert best <= cost(adapter.matrix, adapter.offset + change[0]) + 1e-6


def test_a_network_learns_what_no_linear_map_can_and_follows_its_seed():
    source = unit_vectors(600, 3, 5)
    target = np.abs(source)
    kept = slice(500, None)

    def cosine(adapter):
        return float((adapter(source[kept]) * target[kept]).sum(axis=1).mean())

    network = fit_adapter("mlp", source[:500], target[:500], hidden=32, steps=400, learning_rate=1e-2)
    assert cosine(network) > 0.99 > cosine(fit_adapter("ridge", source[:500], target[:500])) + 0.01
    first, again, other = (fit_adapter("mlp", source, target, steps=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.skip, again.skip)
    assert not np.array_equal(first.skip, other.skip)


def test_fitting_a_network_leaves_the_global_random_state_alone():
    import torch

    before = torch.random.get_rng_state()
    fit_adapter("mlp", unit_vectors(10, 3, 0), unit_vectors(10, 3, 1), steps=3)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("share", "degrees"), [(0.0, 10.0), (0.25, 30.0), (0.5, 50.0), (1.0, 90.0)])
def test_interpolation_goes_its_share_of_the_angle(share, degrees):
    # A quarter turn less ten degrees from every vector to its image.
    source = at(0.0, 40.0, 100.0)
    adapter = Interpolation.fit(source, at(80.0, 120.0, 180.0), share=share)
    np.testing.assert_allclose(adapter(at(10.0)), at(degrees), atol=1e-6)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**16), share=st.floats(0, 1), nearness=st.sampled_from([0.0, 1e-9, 1e-4, 1.0]))
def test_slerp_stays_on_the_sphere_at_the_share_of_the_angle(seed, share, nearness):
    start = unit_vectors(4, 5, seed)
    end = start + nearness * unit_vectors(4, 5, seed + 1)
    end = (end / np.linalg.norm(end, axis=1, keepdims=True)).astype(np.float32)
    point = slerp(start, end, share)

    def angle(a, b):
        a, b = a.astype(np.float64), b.astype(np.float64)
        return 2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))

    np.testing.assert_allclose(np.linalg.norm(point, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(angle(start, point), share * angle(start, end), atol=1e-5)


def test_slerp_between_opposite_vectors_takes_the_nearer_end():
    start, end = np.array([[1.0, 0.0]], np.float32), np.array([[-1.0, 0.0]], np.float32)
    assert slerp(start, end, 0.4).tolist() == [[1.0, 0.0]] and slerp(start, end, 0.5).tolist() == [[-1.0, 0.0]]


@settings(max_examples=12)
@given(kind=st.sampled_from(sorted(ADAPTERS)), seed=st.integers(0, 2**16), s=st.integers(2, 5), t=st.integers(2, 5))
def test_every_adapter_makes_finite_unit_vectors_and_knows_no_order(kind, seed, s, t):
    source, target = unit_vectors(20, s, seed), unit_vectors(20, t, seed + 1)
    adapter = fit_adapter(kind, source, target, **QUICK.get(kind, {}))
    fresh = unit_vectors(7, s, seed + 2)
    made = adapter(fresh)
    assert made.shape == (7, t) and made.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(adapter(fresh[::-1]), made[::-1], atol=1e-6)
    if kind != "mlp":
        order = np.random.default_rng(seed).permutation(20)
        again = fit_adapter(kind, source[order], target[order])
        np.testing.assert_allclose(again(fresh), made, atol=1e-3)


def test_wrong_kinds_options_and_vectors_are_clear_errors():
    x, y = unit_vectors(4, 3, 0), unit_vectors(4, 3, 1)
    with pytest.raises(InputError, match="unknown adapter 'rotation'; expected one of procrustes, ridge, mlp"):
        fit_adapter("rotation", x, y)
    with pytest.raises(InputError) as caught:
        fit_adapter("interpolation", x, y, share=1.5, part=1.0)
    assert caught.value.problems == (
        "interpolation.share: expected a number of at least 0 and at most 1, got 1.5",
        "interpolation.part: unknown option; expected share",
    )
    with pytest.raises(InputError, match="got 4 of the source and 3 of the target"):
        fit_adapter("ridge", x, y[:3])
    broken = x.copy()
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match="infinite or not a number"):
        fit_adapter("procrustes", broken, y)
    with pytest.raises(InputError, match="1 of 4 vectors have no direction"):
        fit_adapter("procrustes", x, y)(broken)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_declared_options_are_those_of_the_code(kind):
    import inspect
    from importlib import import_module

    module, _, name = ADAPTERS[kind].home.partition(":")
    parameters = inspect.signature(getattr(import_module(module), name).fit).parameters
    given = {key: one.default for key, one in parameters.items() if key not in ("source", "target")}
    assert given == {key: option.default for key, option in ADAPTERS[kind].options.items()}
    assert all(option.allows(option.default) and option.meaning for option in ADAPTERS[kind].options.values())


def test_all_but_the_networks_training_need_no_torch():
    code = (
        "import sys, numpy as np; from hetero.adapters.registry import fit_adapter; import hetero.adapters.storage;"
        "x = np.eye(3, dtype=np.float32);"
        "[fit_adapter(kind, x, x)(x) for kind in ('procrustes', 'ridge', 'interpolation')];"
        "import hetero.adapters.mlp; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
