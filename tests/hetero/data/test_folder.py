from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hetero.data.config import DataConfig
from hetero.data.prepare import fingerprint, prepare
from hetero.data.sources.folder import read_folder
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from tests.hetero.data.pictures import write_classes, write_picture

SMALL = Preprocessing(8, 8)


def split_folder(root: Path) -> Path:
    write_classes(root / "train", {"cat": 5, "dog": 4})
    write_classes(root / "val", {"cat": 2, "dog": 2}, start=100)
    write_classes(root / "test", {"cat": 3, "dog": 2, "emu": 1}, start=200)
    return root


def test_split_folders(tmp_path: Path) -> None:
    config = DataConfig(kind="folder", path=str(split_folder(tmp_path / "animals")))
    data = prepare(config, SMALL, cache=tmp_path / "cache")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [9, 4, 6]
    assert data.test.classes == ("cat", "dog", "emu")
    assert data.test.names[-1] == "test/emu/000.png" and data.test.labels[-1] == 2
    (task,) = data.test_tasks
    assert task.name == "leave-one-out" and len(task.query) == 5
    assert any("1 of 6 queries dropped" in note for note in data.notes)
    assert data.fingerprint == fingerprint(config, SMALL, cache=tmp_path / "cache")


def test_rows_hold_the_images_they_are_named_after(tmp_path: Path) -> None:
    from hetero.data.decoding.decode import decode

    root = split_folder(tmp_path / "animals")
    for limit in (4.0, 0.0):
        config = DataConfig(kind="folder", path=str(root), decoded_limit_gb=limit)
        data = prepare(config, SMALL, cache=tmp_path / "cache")
        for part in (data.train, data.validation, data.test):
            assert part.images.shape == (len(part), 8, 8, 3)
            rows = np.arange(len(part))[::-1].copy()
            expected = np.stack([decode(root / part.names[row], SMALL) for row in rows])
            assert np.array_equal(part.images[rows], expected)
            assert np.array_equal(part.images[:], expected[::-1])


def test_second_preparation_reads_the_cache_and_a_changed_file_renews_it(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "animals")
    config = DataConfig(kind="folder", path=str(root))
    first = prepare(config, SMALL, cache=tmp_path / "cache")
    again = prepare(config, SMALL, cache=tmp_path / "cache")
    assert again.fingerprint == first.fingerprint
    assert len(list((tmp_path / "cache" / "decoded").glob("*/decoded.json"))) == 1
    write_picture(root / "train" / "cat" / "000.png", seed=999, size=(13, 9))
    changed = prepare(config, SMALL, cache=tmp_path / "cache")
    assert changed.fingerprint != first.fingerprint
    assert not np.array_equal(changed.train.images[0:1], first.train.images[0:1])
    os.utime(root / "train" / "dog" / "000.png", (1, 1))
    assert fingerprint(config, SMALL, cache=tmp_path / "cache") == changed.fingerprint, "it holds the same picture"


def test_query_and_gallery_folders(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    write_classes(root / "train", {"a": 8, "b": 8})
    write_classes(root / "test" / "query", {"c": 1, "d": 2, "e": 1}, start=50)
    write_classes(root / "test" / "gallery", {"c": 2, "d": 1}, start=80)
    data = prepare(DataConfig(kind="folder", path=str(root), split="image"), SMALL, cache=tmp_path / "cache")
    (task,) = data.test_tasks
    names = np.array(data.test.names)
    assert names[task.query].tolist() == ["test/query/c/000.png", "test/query/d/000.png", "test/query/d/001.png"]
    assert all("gallery" in name for name in names[task.gallery]) and len(task.gallery) == 3
    assert data.validation_tasks[0].name == "leave-one-out"

    for role in ("query", "gallery"):
        (root / "test" / role).rename(root / role)
    (root / "test").rmdir()
    flat = prepare(DataConfig(kind="folder", path=str(root), split="image"), SMALL, cache=tmp_path / "cache")
    assert [len(flat.test_tasks[0].query), len(flat.test_tasks[0].gallery)] == [3, 3]


def test_views_below_the_classes(tmp_path: Path) -> None:
    root = tmp_path / "things"
    for number in range(24):
        for view in ("photo", "sketch"):
            write_picture(root / f"thing{number:02}" / view / "0.png", seed=number * 2 + len(view))
    data = prepare(DataConfig(kind="folder", path=str(root)), SMALL, cache=tmp_path / "cache")
    assert data.test.view_names == ("photo", "sketch")
    assert [task.name for task in data.test_tasks] == ["photo>sketch"]
    assert not set(data.train.classes) & set(data.test.classes), "24 classes are split by class"


def test_few_classes_are_split_by_image_and_the_split_is_stable(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "plain", {"a": 20, "b": 10, "c": 3})
    config = DataConfig(kind="folder", path=str(root))
    data = prepare(config, SMALL, cache=tmp_path / "cache")
    assert Counter(data.test.labels.tolist()) == {0: 6, 1: 3}
    assert set(data.train.names).isdisjoint(data.test.names) and set(data.train.names).isdisjoint(data.validation.names)
    assert len(data.train) + len(data.validation) + len(data.test) == 33
    assert prepare(config, SMALL, cache=tmp_path / "other").test.names == data.test.names
    other = prepare(DataConfig(kind="folder", path=str(root), seed=1), SMALL, cache=tmp_path / "cache")
    assert other.test.names != data.test.names
    assert any("test split made up (seed 0)" in note for note in data.notes)


def test_train_and_validation_only_means_train_and_test(tmp_path: Path) -> None:
    root = tmp_path / "imagenet"
    write_classes(root / "train", {"a": 20, "b": 20})
    write_classes(root / "validation", {"a": 3, "b": 3}, start=60)
    data = prepare(DataConfig(kind="folder", path=str(root)), SMALL, cache=tmp_path / "cache")
    assert all(name.startswith("validation/") for name in data.test.names)
    assert all(name.startswith("train/") for name in data.validation.names)
    assert any("validation is used as test" in note for note in data.notes)


def test_unseen_test_classes_make_unseen_validation_classes(tmp_path: Path) -> None:
    root = tmp_path / "open"
    write_classes(root / "train", {f"seen{number}": 3 for number in range(6)})
    write_classes(root / "test", {"x": 3, "y": 3}, start=60)
    data = prepare(DataConfig(kind="folder", path=str(root)), SMALL, cache=tmp_path / "cache")
    assert len(data.validation.classes) == 2
    assert not set(data.validation.classes) & set(data.train.classes)


def test_every_unreadable_file_is_listed_or_skipped(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "many", {"a": 100, "b": 100})
    broken = [root / "a" / "007.png", root / "b" / "050.png"]
    for path in broken:
        path.write_bytes(path.read_bytes()[:60])
    for limit in (4.0, 0.0):
        config = DataConfig(kind="folder", path=str(root), decoded_limit_gb=limit)
        for _ in range(2):
            with pytest.raises(InputError, match="2 of 200 images cannot be read") as caught:
                prepare(config, SMALL, cache=tmp_path / "cache")
            assert [problem.split(":")[0] for problem in sorted(caught.value.problems)] == ["a/007.png", "b/050.png"]
        skipping = DataConfig(kind="folder", path=str(root), decoded_limit_gb=limit, skip_unreadable=True)
        data = prepare(skipping, SMALL, cache=tmp_path / "cache")
        names = data.train.names + data.validation.names + data.test.names
        assert len(names) == 198 and not {"a/007.png", "b/050.png"} & set(names)
        assert "2 unreadable images skipped of 200" in data.notes
        assert sum(len(part.images) for part in (data.train, data.validation, data.test)) == 198


def test_bad_folders_each_say_what_is_wrong(tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            prepare(DataConfig(kind="folder", path=str(path)), SMALL, cache=tmp_path / "cache")

    refused(tmp_path / "missing", "expected an image folder at .*missing, found nothing")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "found a file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "expected images .* found none")
    (tmp_path / "texts" / "class").mkdir(parents=True)
    (tmp_path / "texts" / "class" / "a.heic").write_text("")
    refused(tmp_path / "texts", r"found none; passed over: not an image by its extension \(1 \.heic\)")
    refused(write_classes(tmp_path / "one", {"only": 5}), "expected at least two classes, found one \\('only'\\)")
    write_picture(write_classes(tmp_path / "loose", {"a": 2, "b": 2}) / "stray.png")
    refused(tmp_path / "loose", "one folder a class, found 1 images beside them")
    write_classes(tmp_path / "untested" / "train", {"a": 4, "b": 4})
    refused(tmp_path / "untested", "expected test images")
    write_classes(tmp_path / "lonely" / "train", {"a": 9, "b": 9})
    write_classes(tmp_path / "lonely" / "test", {"a": 1, "b": 1}, start=50)
    refused(tmp_path / "lonely", "the test images of lonely: protocol leave-one-out finds no query")


def test_hidden_and_foreign_files_are_left_out(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "mixed", {"a": 2, "b": 2})
    (root / "a" / "._000.png").write_bytes(b"")
    (root / "a" / "Thumbs.db").write_bytes(b"")
    write_classes(root / "__MACOSX", {"a": 1})
    listing = read_folder(root)
    assert len(listing.entries) == 4
    assert listing.notes == ("passed over: hidden (1: a/._000.png), of an operating system (2: __MACOSX, ...)",)


def test_configuration_mistakes_come_together() -> None:
    with pytest.raises(InputError, match="path: expected the folder of the images, got nothing"):
        DataConfig(kind="folder")
    with pytest.raises(InputError) as caught:
        DataConfig(kind="folder", test_share=1.5, validation_share=0.0, decoded_limit_gb=-1.0)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "test_share",
        "validation_share",
        "decoded_limit_gb",
    ]
