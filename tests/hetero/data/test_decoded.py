from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hetero.data.config import DataConfig
from hetero.data.decoding import decoded as decoded_module
from hetero.data.decoding import decoded_files
from hetero.data.decoding.decode import decode, decoding_key
from hetero.data.images import Dataset
from hetero.data.prepare import prepare
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from hetero.schema import parse
from tests.hetero.data.pictures import write_classes, write_picture

SMALL = Preprocessing(8, 8)


def prepared(root: Path, cache: Path, **options: object) -> Dataset:
    return prepare(DataConfig(kind="folder", path=str(root), **options), SMALL, cache=cache)  # pyright: ignore[reportArgumentType]


def project(root: Path, start: int) -> Path:
    """Images of equal names, sizes and times, and different pixels."""
    write_classes(root, {"a": 6, "b": 6}, start=start)
    for path in sorted(root.rglob("*.png")):
        data = path.read_bytes()
        path.write_bytes(data + bytes(2000 - len(data)))
        os.utime(path, (1000, 1000))
    return root


def test_a_second_project_has_its_own_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels: list[np.ndarray] = []
    for name, start in (("one", 0), ("two", 500)):
        root = project(tmp_path / name / "photos", start)
        monkeypatch.chdir(tmp_path / name)
        data = prepared(Path("photos"), tmp_path / "cache")
        pixels.append(np.array(data.train.images[:]))
        assert np.array_equal(pixels[-1][0], decode(root / data.train.names[0], SMALL))
    assert not np.array_equal(*pixels)


def test_equal_contents_are_decoded_once_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepared(project(tmp_path / name / "photos", 0), tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "decoded").glob("*/decoded.json"))) == 1


@pytest.mark.parametrize("damage", ["zeroed", "cut", "record", "swapped"])
def test_a_damaged_array_is_made_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_files, "_CHUNK", 512)
    root = project(tmp_path / "photos", 0)
    whole = np.array(prepared(root, tmp_path / "cache").train.images[:])
    (array,) = (tmp_path / "cache" / "decoded").glob("*/images.npy")
    record = array.with_name("decoded.json")
    before, data = array.stat(), bytearray(array.read_bytes())
    if damage == "zeroed":
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    elif damage == "cut":
        data = data[:-100]
    elif damage == "swapped":
        data[512:1024], data[1024:1536] = data[1024:1536], data[512:1024]
    else:
        record.write_text("{}")
    array.write_bytes(data)
    os.utime(array, ns=(before.st_atime_ns, before.st_mtime_ns))
    with caplog.at_level(logging.WARNING):
        again = prepared(root, tmp_path / "cache")
    assert np.array_equal(again.train.images[:], whole)
    assert "is damaged; making it again" in caplog.text
    caplog.clear()
    assert np.array_equal(prepared(root, tmp_path / "cache").train.images[:], whole) and not caplog.text


def test_a_file_changed_while_images_are_decoded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "photos", 0)
    listed = decoded_module._decode_all  # pyright: ignore[reportPrivateUsage]

    def late(*arguments: object) -> object:
        write_picture(root / "a" / "003.png", 99)
        return listed(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(decoded_module, "_decode_all", late)
    with pytest.raises(InputError, match=r"a/003.png was changed since the data was listed; start again"):
        prepared(root, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "decoded").glob("*/decoded.json"))


def test_images_decoded_when_read_are_the_ones_that_were_listed(tmp_path: Path) -> None:
    data = prepared(project(tmp_path / "photos", 0), tmp_path / "cache", decoded_limit_gb=0.0)
    assert data.train.original(0) == (tmp_path / "photos" / data.train.names[0]).read_bytes()
    write_picture(tmp_path / "photos" / data.train.names[0], 99)
    for read in (lambda: data.train.images[:], lambda: data.train.original(0)):
        with pytest.raises(InputError, match="was changed since the data was listed"):
            read()


@pytest.mark.parametrize("what", ["the array", "its record"])
def test_a_cache_without_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if what == "the array":
        monkeypatch.setattr(os, "posix_fallocate", full)
    else:
        monkeypatch.setattr(decoded_files, "write_json", full)
    with pytest.raises(InputError, match="has no room for .* GB of decoded images.*lower decoded_limit_gb"):
        prepared(project(tmp_path / "photos", 0), tmp_path / "cache")


@pytest.mark.parametrize("system", ["linux", "macos"])
def test_the_array_takes_its_room_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    if system == "macos":
        monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.setattr(decoded_files, "_CHUNK", 10_000)
    array = decoded_files.new_array(tmp_path, (10, 64, 64, 3))
    assert array.shape == (10, 64, 64, 3) and not array.any()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= 10 * 64 * 64 * 3


def test_the_record_names_the_chunks(tmp_path: Path) -> None:
    prepared(project(tmp_path / "photos", 0), tmp_path / "cache")
    (record,) = (tmp_path / "cache" / "decoded").glob("*/decoded.json")
    entry = json.loads(record.read_text())
    assert entry["images"] == 12 and len(entry["chunks"]) == 1 and entry["grey"] is None


def test_a_stated_range_is_part_of_what_decides_the_pixels() -> None:
    stated = parse(Preprocessing, {"height": 8, "width": 8, "grey_range": [0, 4095]}, what="a recipe")
    assert decoding_key(stated) != decoding_key(SMALL)
    assert stated.digest == replace(SMALL, grey_range=(0.0, 4095.0)).digest != SMALL.digest
    assert "grey_range" not in SMALL.to_dict(), "what was made before the range could be stated keeps its digest"
