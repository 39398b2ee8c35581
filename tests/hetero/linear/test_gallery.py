from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hetero.data.embeddings.file import save_embeddings
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.linear.gallery import OldGallery, classes_of
from hetero.space import EmbeddingSpace

SPACE = EmbeddingSpace.define(defined_by="old", name="v1", version="1", dimension=2)
VECTORS = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
GALLERY = OldGallery(VECTORS, ("a/1", "a/2", "b/1"), ("a", "a", "b"), SPACE)


def asked(names: list[str], labels: list[int], classes: tuple[str, ...] = ("a", "b")) -> ImageSet:
    count = len(names)
    return ImageSet(
        images=np.zeros((count, 2, 2, 3), np.uint8),
        labels=np.array(labels),
        classes=classes,
        views=np.zeros(count, np.int64),
        view_names=("",),
        names=tuple(names),
        fingerprint="asked",
    )


def test_targets_are_the_same_item_or_else_the_middle_of_its_class():
    images = asked(["a/2", "new/a", "new/b", "b/1"], [0, 0, 1, 2])
    middle = np.sqrt(0.5)
    assert np.allclose(GALLERY.targets(images), [[0, 1], [middle, middle], [-1, 0], [-1, 0]])
    assert classes_of(images) == ["a", "a", "b", ""]
    assert np.allclose(GALLERY.targets(asked(["a/2"], [1])), [[-1, 0]])  # of another class, so it is another item


def test_an_image_without_a_target_is_named():
    with pytest.raises(InputError, match=r"2 of 3 images are neither in the gallery by name") as caught:
        GALLERY.targets(asked(["x/1", "new/a", "y/1"], [1, 0, 2], ("a", "c")))
    assert "x/1" in str(caught.value) and "y/1" in str(caught.value)
    opposite = dataclasses.replace(GALLERY, classes=("a", "b", "a"))
    with pytest.raises(InputError, match="1 of 1 images"):
        opposite.targets(asked(["new"], [0]))  # the middle of opposite vectors points nowhere


def test_queries_need_an_image_of_their_class():
    images = asked(["a/1", "b/1", "new/b", "new/c", "new"], [0, 1, 1, 2, 3], ("a", "b", "c"))
    assert GALLERY.answerable(images, own=True).tolist() == [0, 2]
    assert GALLERY.answerable(images, own=False).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="none of 1 queries"):
        GALLERY.answerable(asked(["b/1"], [1]), own=True)


def test_a_photo_of_the_gallery_does_not_find_itself():
    images = asked(["a/1", "new/b", "new/a"], [0, 1, 0])
    vectors = np.array([[1, 0], [-1, 0], [-0.9, 0.1]], np.float32)
    rows = np.array([0, 1, 2])

    def right(gallery: OldGallery, own: bool) -> list[float]:
        return gallery.search(images, vectors, rows, own=own).per_query("cmc@1")[0].tolist()

    assert right(GALLERY, own=True) == [1, 1, 0]  # a/1 finds a/2; the last lies with b
    farther = dataclasses.replace(GALLERY, classes=("a", "b", "b"), names=("a/1", "a/2", "a/3"))
    assert right(dataclasses.replace(farther, classes=("a", "b", "a")), own=True) == [0, 0, 1]
    assert right(farther, own=False) == [1, 1, 0]


def test_a_file_with_classes_from_folders_or_a_table(tmp_path):
    save_embeddings(tmp_path / "old.safetensors", 3 * VECTORS, GALLERY.names, SPACE)
    loaded = OldGallery.load(tmp_path / "old.safetensors")
    assert loaded.classes == GALLERY.classes and np.allclose(loaded.vectors, VECTORS)
    (tmp_path / "labels.csv").write_text("label,name\nx,a/1\ny,a/2\nx,b/1\n")
    assert OldGallery.load(tmp_path / "old.safetensors", tmp_path / "labels.csv").classes == ("x", "y", "x")
    save_embeddings(tmp_path / "none.safetensors", VECTORS[:0], [], SPACE)
    with pytest.raises(InputError, match="expected the vectors of a gallery, found none"):
        OldGallery.load(tmp_path / "none.safetensors")
