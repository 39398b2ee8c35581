"""The contract of a derived space: what its id follows from, what it takes, and that nothing else is mixed with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hetero.compact.derived import DerivedSpace
from hetero.compact.rotation import Rotation
from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.files import digest, read_json, sha256_file, write_json
from hetero.gallery.exact import Gallery
from hetero.gallery.opening import open_gallery
from hetero.gallery.truncate import truncated
from hetero.space import Derivation, EmbeddingSpace
from tests.hetero.compact.spaces import OTHER, PARENT, derived, vectors


def test_its_id_follows_from_parent_rotation_and_dimension(tmp_path: Path) -> None:
    one = derived()
    one.write(tmp_path)
    rotation = sha256_file(tmp_path / "rotation.safetensors")
    assert one.space.space_id == digest([digest([PARENT.space_id, rotation]), 8, "cosine", True])
    others = [derived(7), DerivedSpace.of(dataclasses.replace(OTHER), one.rotation, 8)]
    others += [DerivedSpace.fit(vectors(1), PARENT, 8), DerivedSpace.fit(vectors(), PARENT, 8, kind="itq")]
    assert len({PARENT.space_id, one.space.space_id, *(other.space.space_id for other in others)}) == 6
    assert one.space == derived().space
    assert (one.space.name, one.space.version) == ("cloud", "1-pca8")


def test_it_survives_the_disk(tmp_path: Path) -> None:
    one = derived()
    one.write(tmp_path)
    assert one.space.derived == Derivation(PARENT.space_id, "1", sha256_file(tmp_path / "rotation.safetensors"), "pca")
    again = DerivedSpace.load(tmp_path)
    assert again.space == one.space
    np.testing.assert_array_equal(again(vectors(), PARENT), one(vectors(), PARENT))


def test_a_prefix_is_a_space_of_its_own_and_the_way_there_does_not_matter(tmp_path: Path) -> None:
    one = derived()
    short = one.prefix(4)
    assert short.space.version == "1-pca4"
    assert short.space == derived(4).space != one.space
    direct, by_way = short(vectors(), PARENT), short(one(vectors(), PARENT), one.space)
    np.testing.assert_allclose(direct, by_way, atol=1e-6)
    short.write(tmp_path)
    assert DerivedSpace.load(tmp_path).space == short.space
    with pytest.raises(InputError, match="expected 1 to 8 dimensions, got 9"):
        one.prefix(9)
    with pytest.raises(InputError, match="no space: derive by pca"):
        DerivedSpace.fit(vectors(), PARENT, 8, kind="itq").prefix(4)
    with pytest.raises(SpaceMismatchError):
        one(short(vectors(), PARENT), short.space)


def test_vectors_of_other_spaces_are_refused_by_name() -> None:
    with pytest.raises(SpaceMismatchError) as caught:
        derived()(vectors(), OTHER)
    assert PARENT.space_id in str(caught.value) and OTHER.space_id in str(caught.value)


@pytest.mark.parametrize("kind", ["exact", "store"])
def test_galleries_keep_parent_and_derived_apart(kind: str, tmp_path: Path) -> None:
    # As many dimensions as the parent: nothing but the contract tells their vectors apart.
    turned = DerivedSpace.of(PARENT, derived().rotation, 16)
    for own, foreign in ((PARENT, turned.space), (turned.space, PARENT), (turned.space, turned.prefix(15).space)):
        if kind == "store":
            pytest.importorskip("usearch", reason="needs the extra gallery")
            gallery = open_gallery(f"usearch:{tmp_path / own.space_id[:8]}", own)
        else:
            gallery = Gallery(own)
        some = truncated(vectors()[:3], foreign.dimension)
        with pytest.raises(SpaceMismatchError) as added:
            gallery.add(some, ["a", "b", "c"], foreign)
        with pytest.raises(SpaceMismatchError) as asked:
            gallery.search(some, 1, foreign)
        for caught in (added, asked):
            assert own.space_id in str(caught.value) and foreign.space_id in str(caught.value)
            assert f"{own.name} {own.version}" in str(caught.value)
        assert foreign.version in str(added.value) and "They are rotations of one space" in str(added.value)


def test_what_does_not_belong_together_is_found_out(tmp_path: Path) -> None:
    derived().write(tmp_path)
    record = read_json(tmp_path / "space.json")
    for change in ({"dimension": 9}, {"space_id": PARENT.space_id}):
        write_json(tmp_path / "space.json", record | change)
        with pytest.raises(IntegrityError, match="not that of the rotation and the parent"):
            DerivedSpace.load(tmp_path)
    write_json(tmp_path / "space.json", record)
    save_file({"rotation": np.eye(16, dtype=np.float32)}, tmp_path / "rotation.safetensors")
    with pytest.raises(IntegrityError, match="missing or not the file"):
        DerivedSpace.load(tmp_path)
    PARENT.save(tmp_path / "space.json")
    with pytest.raises(InputError, match="not derived from another space"):
        DerivedSpace.load(tmp_path)


def test_a_matrix_that_is_no_rotation_is_refused_whatever_its_digest(tmp_path: Path) -> None:
    for matrix in (2 * np.eye(16), np.eye(16)[:, :7], np.full((16, 16), np.nan), np.full((16, 16), 3e38)):
        forged = Rotation("pca", matrix.astype(np.float32))
        save_file({"rotation": forged.matrix.copy()}, tmp_path / "rotation.safetensors")
        PARENT.derive(rotation=sha256_file(tmp_path / "rotation.safetensors"), kind="pca", dimension=8).save(
            tmp_path / "space.json"
        )
        with pytest.raises(IntegrityError, match="expected a rotation|expected orthonormal"):
            DerivedSpace.load(tmp_path)


def test_a_space_that_a_model_defines_says_nothing_of_a_parent() -> None:
    assert "derived" not in PARENT.to_dict()
    assert EmbeddingSpace.from_dict(derived().space.to_dict(), what="it") == derived().space
