"""Cosines of an ensemble are the mean of its members' cosines, exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.space import EmbeddingSpace
from hetero.training.reference.cloud_reference import CloudReference
from hetero.upgrade.ensemble import ensemble


def unit(generator: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    vectors = generator.normal(size=(rows, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def member(seed: int, dimension: int, *, images: int = 4, known: bool = True) -> CloudReference:
    generator = np.random.default_rng(seed)
    space = EmbeddingSpace.define(defined_by=str(seed), name="m", version="1", dimension=dimension)
    vectors, prototypes = unit(generator, images, dimension), unit(generator, 3, dimension)
    return CloudReference(space, vectors, prototypes, unit(generator, 2, dimension) if known else None)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_its_logits_are_the_mean_of_the_members(dimensions):
    members = [member(seed, dimension) for seed, dimension in enumerate(dimensions)]
    together = ensemble(members)
    mean = np.mean([one.train @ one.prototypes.T for one in members], axis=0)
    np.testing.assert_allclose(together.train @ together.prototypes.T, mean, atol=1e-6)
    for vectors in (together.train, together.prototypes, together.validation):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert together.space.dimension == together.train.shape[1] == sum(dimensions)


def test_validation_vectors_need_every_member():
    assert ensemble([member(0, 2), member(1, 2, known=False)]).validation is None


def test_members_of_different_data_are_refused():
    with pytest.raises(InputError, match="same images and classes"):
        ensemble([member(0, 2), member(1, 2, images=5)])
    with pytest.raises(InputError, match="same images and classes"):
        ensemble([])
