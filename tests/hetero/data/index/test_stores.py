from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.data.index.places import Stamp, files_of, url_of, url_path
from hetero.errors import InputError
from tests.hetero.data.index.shards import picture, prepared, write_shards
from tests.hetero.data.pictures import write_classes

fsspec = pytest.importorskip("fsspec", reason="needs the extra data")


@pytest.fixture
def store() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


def upload(files: Any, folder: Path, url: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files.pipe_file(f"{url}/{path.relative_to(folder)}", path.read_bytes())


def test_shards_of_a_store_are_those_of_the_disk(tmp_path: Path, store: Any) -> None:
    upload(store, write_shards(tmp_path / "set"), "/bucket/set")
    local = prepared(tmp_path / "set", tmp_path / "cache")
    remote = prepared("memory://bucket/set/{train,test}-*.tar", tmp_path / "cache")
    for part in ("train", "validation", "test"):
        one, other = getattr(local, part), getattr(remote, part)
        assert list(one.names) == list(other.names) and one.classes == other.classes
        assert np.array_equal(one.labels, other.labels) and np.array_equal(one.images[:], other.images[:])
    assert remote.train.original(0) == local.train.original(0)
    assert any("known by what it says" in note for note in remote.notes)


def test_a_changed_shard_of_a_store_is_other_data(tmp_path: Path, store: Any) -> None:
    upload(store, write_shards(tmp_path / "set"), "/bucket/set")
    before = prepared("memory://bucket/set", tmp_path / "cache", decoded_limit_gb=0.0)
    store.pipe_file("/bucket/set/test-0.tar", store.cat_file("/bucket/set/test-0.tar"))
    after = prepared("memory://bucket/set", tmp_path / "cache")
    assert before.fingerprint != after.fingerprint
    store.pipe_file("/bucket/set/test-0.tar", b"short")
    with pytest.raises(InputError, match="changed since it was indexed"):
        before.test.images[:]
    store.rm("/bucket/set/test-0.tar")
    with pytest.raises(InputError, match="no such file"):
        before.test.images[:]


def test_files_of_one_size_and_time_are_no_copies_of_each_other(
    tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stamp, "of", classmethod(lambda cls, info: cls(int(info["size"]), "modified today")))
    for number in range(20):
        store.pipe_file(f"/bucket/photos/{number}.ppm", b"P6 2 2 255\n" + bytes([number]) * 12)
    train = prepared("memory://bucket/photos", tmp_path / "cache", "folder").train
    assert len(set(train.labels.tolist())) == len(train) > 8


def test_a_folder_of_a_store_follows_the_rules_of_folders(tmp_path: Path, store: Any) -> None:
    root = tmp_path / "photos"
    for split, start in (("train", 0), ("val", 100), ("test_images", 200)):
        write_classes(root / split, {"a": 4, "b": 4}, start=start)
    (root / "train" / ".trash").mkdir()
    (root / "train" / ".trash" / "x.png").write_bytes(picture(1))
    (root / "train" / "a" / "notes.txt").write_text("")
    upload(store, root, "/bucket/photos")
    local, remote = (prepared(place, tmp_path / "cache", "folder") for place in (root, "memory://bucket/photos"))
    assert [list(part.names) for part in (remote.train, remote.test)] == [
        list(part.names) for part in (local.train, local.test)
    ]
    assert np.array_equal(local.validation.images[:], remote.validation.images[:])
    assert any("hidden" in note and "1 .txt" in note for note in remote.notes)


def test_a_table_of_a_store_has_boxes_and_roles(tmp_path: Path, store: Any) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["label", "split", "path", "is_query", "is_gallery", "x_1", "y_1", "x_2", "y_2"])
    for number in range(24):
        split = ("train", "val", "test")[number // 8]
        roles = ["", ""] if split == "train" else [number % 2, 1 - number % 2]
        box = [1, 2, 7, 8] if number % 3 else [""] * 4
        writer.writerow(["ab"[number // 2 % 2], split, f"{number}.png", *roles, *box])
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "set" / "table.csv").write_text(text.getvalue())
    upload(store, tmp_path / "set", "/bucket")
    local = prepared(tmp_path / "set" / "table.csv", tmp_path / "cache", "csv", split="image")
    remote = prepared("memory://bucket/table.csv", tmp_path / "cache", "csv", split="image")
    assert np.array_equal(local.test.images[:], remote.test.images[:])
    (task,), (other,) = local.test_tasks, remote.test_tasks
    assert task.name == "query>gallery" and np.array_equal(task.query, other.query)
    originals = [remote.test.original(row) for row in range(8)]
    assert originals == [local.test.original(row) for row in range(8)]
    assert originals.count(None) == 6, "a box is not a whole file"
    store.rm("/bucket/3.png")
    with pytest.raises(InputError, match=r"memory://bucket/3.png: no such file"):
        prepared("memory://bucket/table.csv", tmp_path / "cache", "csv", split="image")


def test_parquet_of_a_store_is_copied(tmp_path: Path, store: Any) -> None:
    tables = pytest.importorskip("tests.hetero.data.index.test_tables")
    upload(store, tables.write(tmp_path / "set", "parquet"), "/bucket/set")
    local, remote = (
        prepared(place, tmp_path / name, "parquet")
        for place, name in ((tmp_path / "set", "one"), ("memory://bucket/set", "two"))
    )
    store.rm("/bucket", recursive=True)
    assert np.array_equal(local.test.images[:], remote.test.images[:]), "the copy is beside the index"
    assert local.fingerprint == remote.fingerprint


@pytest.mark.parametrize("pattern", ["x-{000..002}.tar", "x-{000,001,002}.tar", "x-*.tar", "", "{x,y}-00?.tar"])
def test_patterns(tmp_path: Path, pattern: str) -> None:
    for number in range(3):
        (tmp_path / f"x-00{number}.tar").touch()
    (tmp_path / "y-001.tar").touch()
    (tmp_path / "z.txt").touch()
    names = [Path(file).name for file in files_of(str(tmp_path / pattern), (".tar",))]
    expected = ["x-000.tar", "x-001.tar", "x-002.tar"]
    assert names == (expected if pattern.startswith("x") else [*expected, "y-001.tar"])
    assert files_of(f"file://{tmp_path / pattern}", (".tar",)) == files_of(str(tmp_path / pattern), (".tar",))


def test_what_is_kept_beside_data_is_not_data(tmp_path: Path, store: Any) -> None:
    for name in ("train/data-0.arrow", "train/cache-1f.arrow", "train/._data-0.arrow", "state.json"):
        store.pipe_file(f"/bucket/{name}", b"")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files_of(str(tmp_path), (".arrow",)) == [str(tmp_path / "train" / "data-0.arrow")]
    assert files_of("memory://bucket", (".arrow",)) == ["memory:///bucket/train/data-0.arrow"]


@pytest.mark.parametrize("pattern", ["x-{000..002}.tar", "no", "*.tar", "memory://nothing/{1..2}.tar", "x-{5..2}.tar"])
def test_missing_shards_are_named(tmp_path: Path, store: Any, pattern: str) -> None:
    (tmp_path / "x-001.tar").touch() if pattern[0] == "x" else None
    place = pattern if "://" in pattern else str(tmp_path / pattern)
    with pytest.raises(InputError, match=r"x-000|no|\*|nothing/1|ascending"):
        files_of(place, (".tar",))


def test_files_lie_in_one_place(tmp_path: Path, store: Any) -> None:
    upload(store, write_shards(tmp_path / "set"), "/bucket")
    with pytest.raises(InputError, match="in one store or on the disk"):
        files_of(f"{{memory://bucket/test-0.tar,{tmp_path}/set/train-0.tar}}", (".tar",))


def test_an_unknown_store_is_one_error() -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        files_of("nowhere://bucket/x.tar", (".tar",))


@pytest.mark.parametrize("url", ["memory://bucket/a b/x.png", "s3://bucket/x.png"])
def test_urls_survive_as_paths(url: str) -> None:
    assert url_of(url_path(url)) == url
    assert url_of(url_path("s3://other") / url_path(url)) == url
