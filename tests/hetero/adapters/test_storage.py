"""Adapters on disk: what comes back, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hetero.adapters.registry import ADAPTERS, fit_adapter
from hetero.adapters.storage import SpaceAdapter
from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.files import sha256_file
from hetero.space import EmbeddingSpace
from tests.hetero.adapters.test_fit import QUICK, unit_vectors

SOURCE = EmbeddingSpace.define(defined_by="a", name="student", version="1", dimension=4)
TARGET = EmbeddingSpace.define(defined_by="b", name="cloud", version="1", dimension=6)


@pytest.fixture
def adapter() -> SpaceAdapter:
    return SpaceAdapter(fit_adapter("ridge", unit_vectors(9, 4, 0), unit_vectors(9, 6, 1)), SOURCE, TARGET)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_comes_back_as_it_was(kind, tmp_path):
    fitted = fit_adapter(kind, unit_vectors(9, 4, 0), unit_vectors(9, 6, 1), **QUICK.get(kind, {}))
    SpaceAdapter(fitted, SOURCE, TARGET).save(tmp_path / "adapter")
    again = SpaceAdapter.load(tmp_path / "adapter")
    assert (again.source, again.target, type(again.adapter)) == (SOURCE, TARGET, type(fitted))
    fresh = unit_vectors(5, 4, 2)
    np.testing.assert_array_equal(again(fresh, SOURCE), fitted(fresh))


def test_vectors_of_another_space_are_refused(adapter):
    with pytest.raises(SpaceMismatchError, match="student 1 .* cloud 1"):
        adapter(unit_vectors(5, 4, 2), TARGET)


def test_equal_adapters_give_equal_files_and_replace_each_other(adapter, tmp_path):
    adapter.save(tmp_path / "one")
    adapter.save(tmp_path / "two")
    adapter.save(tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["adapter.json", "adapter.safetensors", "space.json"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_what_is_no_adapter_is_neither_read_nor_replaced(adapter, tmp_path):
    with pytest.raises(InputError, match=r"found no adapter\.json"):
        SpaceAdapter.load(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(InputError, match="is not an adapter"):
        adapter.save(tmp_path)
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda place: (place / "adapter.safetensors").write_bytes(b"junk"), "not the file that adapter.json names"),
        (lambda place: (place / "adapter.safetensors").unlink(), "is missing"),
        (lambda place: SOURCE.save(place / "space.json"), "is not the space that adapter.json names"),
        (lambda place: (place / "adapter.json").write_text("{"), "is not JSON"),
        (lambda place: rewrite(place, kind="magic"), "kind"),
        (lambda place: rewrite(place, kind="procrustes"), "does not hold a procrustes adapter"),
        (lambda place: rewrite(place, more=1), "more: unknown key"),
    ],
)
def test_damage_is_found(adapter, tmp_path, damage, message):
    adapter.save(tmp_path / "adapter")
    damage(tmp_path / "adapter")
    with pytest.raises(IntegrityError, match=message):
        SpaceAdapter.load(tmp_path / "adapter")


def rewrite(place, **changes):
    path = place / "adapter.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("matrix", np.ones((4, 6), np.float16)),
        ("matrix", np.ones((5, 6), np.float32)),
        ("matrix", np.ones((4, 7), np.float32)),
        ("matrix", np.full((4, 6), np.nan, np.float32)),
        ("offset", np.ones((2, 1, 6), np.float32)),
    ],
)
def test_arrays_that_are_no_such_map_are_refused(adapter, tmp_path, name, array):
    """Listed with their digest, as whoever changed them would."""
    adapter.save(tmp_path / "adapter")
    arrays = tmp_path / "adapter" / "adapter.safetensors"
    save_file({**load_file(arrays), name: array}, arrays)
    rewrite(tmp_path / "adapter", arrays=sha256_file(arrays))
    with pytest.raises(IntegrityError, match="does not hold a ridge adapter"):
        SpaceAdapter.load(tmp_path / "adapter")
