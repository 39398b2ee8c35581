"""A bundle that carries a gallery: what is in it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from export.bundle.carrying import carried_ids, carry_gallery
from export.bundle.checks import checked_manifest
from export.bundle.manifest import GRAPH, IDS, MANIFEST, SIGNATURE
from export.bundle.reading import read_bundle
from export.bundle.signing import check_signature, generate_key, sign
from export.bundle_commands import check_command, gallery_command
from export.packaging.app import RECORD, write_app
from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.gallery.opening import open_gallery
from hetero.space import EmbeddingSpace
from tests.export.bundles import DIMENSION, SPACE, units, write_bundle

index: type = pytest.importorskip("usearch.index", reason="needs the extra gallery").Index
NAMES = ["boots/1.jpg", "two\nlines", "påske 🥚", *(f"item {row}" for row in range(17))]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.fixture
def address(tmp_path: Path) -> str:
    place = f"usearch:{tmp_path / 'gallery'}"
    with open_gallery(place, SPACE) as store:
        store.add(units(20, 1), NAMES, SPACE)
        store.add(units(3, 2), ["x", "y", "z"], SPACE, tenant="shop 7")
    return place


def test_the_items_of_a_tenant_are_found_by_their_line(bundle: Path, address: str, tmp_path: Path) -> None:
    entry = carry_gallery(bundle, address, tmp_path / "offline", effort=32)
    assert (entry.items, entry.effort) == (20, 32)
    opened = read_bundle(tmp_path / "offline")
    assert opened.manifest.gallery == entry and carried_ids(opened) == NAMES
    graph = index(ndim=DIMENSION, metric="ip", dtype="f16", enable_key_lookups=False)
    graph.view(str(tmp_path / "offline" / GRAPH))
    assert graph.search(units(20, 1), 1, exact=True).keys.ravel().tolist() == list(range(20))
    carry_gallery(tmp_path / "offline", address, tmp_path / "other", tenant="shop 7")
    assert carried_ids(read_bundle(tmp_path / "other")) == ["x", "y", "z"]
    without = dataclasses.replace(read_bundle(tmp_path / "other").manifest, gallery=None).files
    assert [file for file in without if file.path not in (GRAPH, IDS)] == list(read_bundle(bundle).manifest.files)


def test_the_same_items_give_the_same_bytes(bundle: Path, address: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        carry_gallery(bundle, address, tmp_path / name)
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()


def test_a_signed_bundle_is_signed_again_or_refused(bundle: Path, address: str, tmp_path: Path) -> None:
    generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    sign(bundle, tmp_path / "key.pem")
    with pytest.raises(InputError, match="is signed, .*: give --key"):
        carry_gallery(bundle, address, tmp_path / "offline")
    assert not (tmp_path / "offline").exists()
    carry_gallery(bundle, address, tmp_path / "offline", key=tmp_path / "key.pem")
    assert check_signature(tmp_path / "offline", tmp_path / "key.pub.pem")[0] == "trusted"
    assert (tmp_path / "offline" / SIGNATURE).read_bytes() != (bundle / SIGNATURE).read_bytes()


def test_another_space_an_empty_tenant_and_another_place_are_refused(
    bundle: Path, tmp_path: Path, address: str
) -> None:
    other = EmbeddingSpace.define(defined_by="2" * 64, name="tiny", version="2", dimension=DIMENSION)
    with open_gallery(f"usearch:{tmp_path / 'else'}", other) as store:
        store.add(units(2, 3), ["a", "b"], other)
    with pytest.raises(SpaceMismatchError, match="else and the bundle student"):
        carry_gallery(bundle, f"usearch:{tmp_path / 'else'}", tmp_path / "offline")
    with pytest.raises(InputError, match="holds no item of the tenant 'shop 8'"):
        carry_gallery(bundle, address, tmp_path / "offline", tenant="shop 8")
    with pytest.raises(InputError, match="lies in the bundle"):
        carry_gallery(bundle, address, bundle)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("keep")
    with pytest.raises(InputError, match="is not a bundle"):
        carry_gallery(bundle, address, tmp_path / "mine")
    assert not (tmp_path / "offline").exists()


@pytest.mark.parametrize(
    "lines", [b'"a"\n', b'"a"\n' * 20 + b"\n", b"nonsense\n" * 20, b"[" * 5000 + b"\n", b'"a"\n' * 19 + b"7\n"]
)
def test_ids_that_are_none_are_refused(bundle: Path, address: str, tmp_path: Path, lines: bytes) -> None:
    carry_gallery(bundle, address, tmp_path / "offline")
    opened = read_bundle(tmp_path / "offline")
    (tmp_path / "offline" / IDS).write_bytes(lines)
    with pytest.raises(IntegrityError, match="expected 20 ids, each as JSON in a line of its own"):
        carried_ids(opened)
    with pytest.raises(InputError, match="carries no gallery; hetero bundle gallery makes"):
        carried_ids(read_bundle(bundle))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"gallery": None}, "the manifest says nothing of it"),
        ({"gallery": {"items": 0, "effort": 1, "connectivity": 16, "usearch": "2"}}, "must be positive"),
        ({"files": 1}, "gallery: expected the files gallery/index.usearch and gallery/ids.jsonl"),
    ],
)
def test_a_manifest_that_does_not_fit_its_gallery_is_refused(
    bundle: Path, address: str, tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    carry_gallery(bundle, address, tmp_path / "offline")
    record = json.loads((tmp_path / "offline" / MANIFEST).read_text())
    if change.get("files"):
        change = {"files": [file for file in record["files"] if file["path"] != IDS]}
    with pytest.raises(IntegrityError, match=problem):
        checked_manifest(record | change, what="it")


def test_applications_take_it_along(
    bundle: Path, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery_command(bundle, address, tmp_path / "offline")
    check_command(tmp_path / "offline")
    assert "20 items, " in capsys.readouterr().out
    opened = read_bundle(tmp_path / "offline")
    (project,) = write_app(opened, tmp_path / "app", platforms=["ios"])
    place = tmp_path / "app" / "ios" / "Sources" / "Hetero" / "hetero"
    for name in (GRAPH, IDS):
        assert (place / name).read_bytes() == (tmp_path / "offline" / name).read_bytes()
    assert project.gallery_size == sum((place / name).stat().st_size for name in (GRAPH, IDS))
    assert json.loads((tmp_path / "app" / RECORD).read_text())["projects"]["ios"]["gallery_bytes"] > 0
    guide = (tmp_path / "app" / "ios" / "README.md").read_text(encoding="utf-8")
    assert "the vectors of 20 items" in guide and "`optional/CarriedGallery.swift` searches it." in guide
    (tmp_path / "offline" / IDS).write_text("changed")
    with pytest.raises(IntegrityError, match="ids.jsonl changed while it was copied"):
        write_app(opened, tmp_path / "app", platforms=["ios"])
    assert np.array_equal(sorted(path.name for path in (tmp_path / "app").iterdir()), [RECORD, "ios"])
