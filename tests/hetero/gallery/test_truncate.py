"""The map between spaces, by hand, and the door that opens only for measured compatibility."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hetero
from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.truncate import truncated
from hetero.objectives.backward_compatible import truncated_or_padded
from hetero.space import EmbeddingSpace, MeasuredCompatibility

OLD = EmbeddingSpace.define(defined_by="old", name="cloud", version="1", dimension=2)
NEW = EmbeddingSpace.define(
    defined_by="new",
    name="cloud",
    version="2",
    dimension=3,
    compatible_with=(MeasuredCompatibility(OLD.space_id, "cmc@1", 0.6, 0.5, name="cloud 1"),),
)


def test_a_longer_vector_is_cut_and_scaled_by_hand():
    np.testing.assert_allclose(truncated(np.array([[2, 2, 1]], np.float32) / 3, 2), [[2**-0.5, 2**-0.5]], atol=1e-6)


def test_a_shorter_vector_is_padded_with_zeros():
    np.testing.assert_allclose(truncated(np.array([[0.6, 0.8]], np.float32), 3), [[0.6, 0.8, 0]], atol=1e-6)


def test_a_vector_without_a_direction_left_is_an_error():
    with pytest.raises(InputError, match=r"1 of 1 vectors .* first 2 coordinates"):
        truncated(np.array([[0, 0, 1]], np.float32), 2)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_it_is_what_training_uses(inputs, outputs, seed):
    vectors = np.random.default_rng(seed).normal(size=(3, inputs)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = torch.nn.functional.normalize(truncated_or_padded(torch.from_numpy(vectors), outputs), dim=1)
    np.testing.assert_allclose(truncated(vectors, outputs), expected.numpy(), atol=1e-6)


def test_new_vectors_enter_an_old_gallery_only_when_that_was_measured():
    gallery = hetero.Gallery(OLD)
    gallery.add(np.array([[1, 0], [0, 1]], np.float32), ["x", "y"], OLD)
    query = np.array([[0.8, 0, 0.6]], np.float32)
    with pytest.raises(SpaceMismatchError):
        gallery.search(query, 1, NEW)
    names, scores = gallery.search(hetero.as_earlier(query, NEW, OLD), 1, OLD)
    assert names == [["x"]] and scores[0, 0] == 1
    unmeasured = dataclasses.replace(NEW, compatible_with=())
    with pytest.raises(SpaceMismatchError, match=r"was not measured to be compatible.*measured compatible: none"):
        hetero.as_earlier(query, unmeasured, OLD)
    with pytest.raises(SpaceMismatchError, match="cloud 1"):
        hetero.as_earlier(query, NEW, dataclasses.replace(OLD, space_id="third"))


def test_vectors_of_one_space_stay_as_they_are():
    vectors = np.eye(3, dtype=np.float32)
    assert hetero.as_earlier(vectors, NEW, NEW) is vectors
