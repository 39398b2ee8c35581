"""The part of a set that is kept, where the whole is larger than the cache may be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hetero.data.config import DataConfig
from hetero.data.decoding import lazy
from hetero.data.decoding.kept import kept_pixels
from hetero.data.images import Dataset
from hetero.data.prepare import prepare
from hetero.preprocessing import Preprocessing
from tests.hetero.data.pictures import write_classes
from tests.snippets import ROOT

SMALL = Preprocessing(8, 8)
BYTES = 8 * 8 * 3


def prepared(root: Path, cache: Path, rows: float) -> Dataset:
    return prepare(DataConfig(kind="folder", path=str(root), decoded_limit_gb=rows * BYTES / 1e9), SMALL, cache=cache)


def test_as_many_rows_are_kept_as_fit_and_all_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_classes(tmp_path / "photos", {"a": 12, "b": 12})
    whole = prepared(root, tmp_path / "one", 24).train.images[:]
    assert not list((tmp_path / "one").glob("kept/*"))
    train = prepared(root, tmp_path / "two", 7).train
    decoded: list[str] = []
    decode = lazy.decode

    def counted(path: Path, *rest: object, **options: object) -> np.ndarray:
        decoded.append(path.name)
        return decode(path, *rest, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(lazy, "decode", counted)
    assert np.array_equal(train.images[:], whole)
    assert len(decoded) == len(train) - 7, "the first pass over the files has kept seven"
    rows = np.array([0, 9, 0, 6, 7])
    decoded.clear()
    assert np.array_equal(train.images[rows], whole[rows]) and len(decoded) == 2
    (tmp_path / "two" / "decoded").rename(tmp_path / "gone")
    assert np.array_equal(prepared(root, tmp_path / "two", 0).train.images[:], whole)


@pytest.mark.parametrize("damage", ["pixels", "checksum", "cut", "whole"])
def test_damage_costs_a_row(tmp_path: Path, damage: str) -> None:
    shape = (10, 8, 8, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kept = kept_pixels(tmp_path, "k", shape, 6 * BYTES)
    assert kept is not None
    for row in (0, 2, 5, 6):
        kept.put(row, pixels[row])
    folder = next((tmp_path / "kept").glob("k-*"))
    with (folder / "images.npy").open("r+b") as stream:
        if damage == "pixels":
            stream.seek(128 + 2 * BYTES + 5)
            stream.write(b"\0\0\0\0\0")
        elif damage == "cut":
            stream.truncate(300)
    if damage == "checksum":
        sums = np.load(folder / "checksums.npy", mmap_mode="r+")
        sums[2] += 1
        sums.flush()
    again = kept_pixels(tmp_path, "k", shape, 6 * BYTES)
    assert again is not None
    into = np.zeros((5, 8, 8, 3), np.uint8)
    taken = again.take(np.array([0, 1, 2, 5, 6]), into)
    right = {"pixels": [0, 3], "checksum": [0, 3], "cut": [], "whole": [0, 2, 3]}[damage]
    assert np.flatnonzero(taken).tolist() == right
    assert all(np.array_equal(into[place], pixels[[0, 1, 2, 5, 6][place]]) for place in right)


def test_nothing_fits(tmp_path: Path) -> None:
    assert kept_pixels(tmp_path, "k", (10, 8, 8, 3), BYTES - 1) is None and not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_rows_that_are_right_or_missing(tmp_path: Path) -> None:
    program = """
import sys, numpy as np
from pathlib import Path
from hetero.data.decoding.kept import kept_pixels
shape = (4000, 64, 64, 3)
kept = kept_pixels(Path(sys.argv[1]), "k", shape, 4000 * 64 * 64 * 3)
print("ready", flush=True)
while True:
    for row in range(4000):
        kept.put(row, np.full((64, 64, 3), row % 251, np.uint8))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    shape = (4000, 64, 64, 3)
    kept = kept_pixels(tmp_path, "k", shape, 4000 * 64 * 64 * 3)
    assert kept is not None
    rows = np.arange(4000)
    while not kept.take(rows[:1], np.zeros((1, 64, 64, 3), np.uint8)).any():
        pass
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    into = np.zeros(shape, np.uint8)
    again = kept_pixels(tmp_path, "k", shape, 4000 * 64 * 64 * 3)
    assert again is not None
    taken = np.flatnonzero(again.take(rows, into))
    assert len(taken) and all((into[row] == row % 251).all() for row in taken)
