"""Galleries that move to a new space without their images."""

import numpy as np
import pytest

from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.exact import Gallery
from hetero.space import EmbeddingSpace
from hetero.upgrade.forward import ForwardTransform

OLD = EmbeddingSpace.define(defined_by="old", name="cloud", version="1", dimension=3)
NEW = EmbeddingSpace.define(defined_by="new", name="cloud", version="2", dimension=4)


def unit(seed: int, rows: int, dimension: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_gallery_moves_and_says_where_it_came_from(tmp_path):
    new = unit(0, 50, 4)
    turned = new[:, :3]  # what the old model kept of each image
    old = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    transform = ForwardTransform.fit((OLD, old), (NEW, new), kind="ridge")
    gallery = Gallery(OLD)
    gallery.add(old[:10], [str(row) for row in range(10)], OLD)
    moved = transform.gallery(gallery)
    assert moved.names == gallery.names and moved.space.space_id == NEW.space_id
    assert moved.space.mapped_from == OLD.space_id
    with pytest.raises(SpaceMismatchError):
        gallery.search(new[:1], 1, NEW)
    names, _ = moved.search(new[:10], 1, NEW)
    assert np.mean([hit == [str(row)] for row, hit in enumerate(names)]) >= 0.8
    moved.save(tmp_path / "gallery")
    assert Gallery.load(tmp_path / "gallery").space.mapped_from == OLD.space_id


def test_side_information_says_what_the_old_vector_lost():
    new = unit(1, 200, 4)
    old, side = new[:, :3] / np.linalg.norm(new[:, :3], axis=1, keepdims=True), new[:, 3:]
    plain = ForwardTransform.fit((OLD, old[:150]), (NEW, new[:150]), steps=200)
    helped = ForwardTransform.fit((OLD, old[:150]), (NEW, new[:150]), side=side[:150], steps=200)
    without, beside = plain(old[150:], OLD), helped(old[150:], OLD, side[150:])
    assert (beside * new[150:]).sum(axis=1).mean() > (without * new[150:]).sum(axis=1).mean() + 0.02


def test_vectors_of_another_space_or_shape_are_refused():
    transform = ForwardTransform.fit((OLD, unit(0, 9, 3)), (NEW, unit(1, 9, 4)), side=unit(2, 9, 2), kind="ridge")
    with pytest.raises(SpaceMismatchError):
        transform(unit(0, 2, 4), NEW, unit(2, 2, 2))
    with pytest.raises(InputError, match=r"expected \[2, 2\], got none"):
        transform(unit(0, 2, 3), OLD)
    with pytest.raises(InputError, match=r"expected \[2, 2\], got \[2, 1\]"):
        transform(unit(0, 2, 3), OLD, unit(2, 2, 1))
    with pytest.raises(InputError, match="expected 9 rows"):
        ForwardTransform.fit((OLD, unit(0, 9, 3)), (NEW, unit(1, 9, 4)), side=unit(2, 8, 2))
