"""A directory is replaced in one step: a kill loses nothing, a reader beside a writer sees the old or the new."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from hetero.adapters.procrustes import Procrustes
from hetero.adapters.storage import SpaceAdapter
from hetero.files import write_bytes
from hetero.gallery.exact import Gallery
from hetero.space import EmbeddingSpace
from hetero.storage import directories
from hetero.storage.directories import recovered, replaced_directory, steadily
from hetero.storage.unfinished import unfinished_directory
from tests.crashes import kills

SPACE = EmbeddingSpace.define(defined_by="0" * 64, name="s", version="1", dimension=8)


def gallery(count: int) -> Gallery:
    made = Gallery(SPACE)
    made.add(np.eye(8, dtype=np.float32)[np.arange(count) % 8], [str(row) for row in range(count)], SPACE)
    return made


def emptied(root: Path) -> None:
    for path in root.iterdir():
        shutil.rmtree(path)


@pytest.fixture(params=["exchange", "set aside"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "set aside":
        monkeypatch.setattr(directories, "_exchanged", lambda *_: False)
    return request.param


def test_a_gallery_survives_a_kill_at_every_write(tmp_path: Path, system: str) -> None:
    def before() -> None:
        emptied(tmp_path)
        gallery(100).save(tmp_path / "gallery")

    seen: list[int] = []
    for _ in kills(tmp_path, lambda: gallery(120).save(tmp_path / "gallery"), before=before):
        seen.append(len(Gallery.load(tmp_path / "gallery")))
        gallery(120).save(tmp_path / "gallery")
        assert [path.name for path in tmp_path.iterdir()] == ["gallery"]
    assert seen == sorted(seen) and set(seen) == {100, 120} and len(seen) > 10


def test_a_reader_beside_a_writer_sees_the_old_or_the_new(tmp_path: Path, system: str) -> None:
    sizes = (100, 120)
    made = [gallery(size) for size in sizes]
    made[0].save(tmp_path / "gallery")
    writer = os.fork()
    if writer == 0:
        for number in range(10**9):
            made[number % 2].save(tmp_path / "gallery")
    try:
        end, seen = time.monotonic() + 2, set[int]()
        while time.monotonic() < end:
            seen.add(len(Gallery.load(tmp_path / "gallery")))
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    assert seen == set(sizes)


def test_an_adapter_survives_a_kill_at_every_write(tmp_path: Path) -> None:
    def adapter(sign: float) -> SpaceAdapter:
        return SpaceAdapter(Procrustes(np.eye(8, dtype=np.float32) * np.float32(sign)), SPACE, SPACE)

    place, vector = tmp_path / "adapter", np.eye(8, dtype=np.float32)[:1]
    for _ in kills(tmp_path, lambda: adapter(-1).save(place), before=lambda: adapter(1).save(place)):
        assert abs(SpaceAdapter.load(place)(vector, SPACE)[0, 0]) == 1


def test_what_was_set_aside_is_put_back_by_who_reads(tmp_path: Path) -> None:
    gallery(3).save(tmp_path / "gallery")
    (tmp_path / "gallery").rename(tmp_path / ".gallery.0123abcd.set-aside")
    assert len(Gallery.load(tmp_path / "gallery")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


def test_nothing_is_put_back_where_nothing_was(tmp_path: Path) -> None:
    (tmp_path / ".gallery.notes.set-aside").mkdir()
    assert not recovered(tmp_path / "gallery")
    with pytest.raises(FileNotFoundError):
        steadily(tmp_path / "gallery", lambda path: sorted(path.iterdir()))


def test_what_a_living_writer_holds_is_not_swept(tmp_path: Path) -> None:
    with unfinished_directory(tmp_path / "x") as mine:
        (mine / "half").touch()
        with replaced_directory(tmp_path / "x") as other:
            (other / "whole").touch()
        assert (mine / "half").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_files_of_other_names_are_not_swept(tmp_path: Path) -> None:
    names = [".x.abcdefgh", ".x.y.abcdefgh.unfinished", ".x.unfinished", "x.abcdefgh.unfinished", ".x.abcd.unfinished"]
    for name in names:
        (tmp_path / name).touch()
    with replaced_directory(tmp_path / "x"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "x"])


def test_an_error_keeps_what_stood_there(tmp_path: Path) -> None:
    gallery(3).save(tmp_path / "gallery")
    with pytest.raises(KeyboardInterrupt), replaced_directory(tmp_path / "gallery"):
        raise KeyboardInterrupt
    assert len(Gallery.load(tmp_path / "gallery")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


def test_kept_files_are_the_same_and_the_old_ones_are_not_written_into(tmp_path: Path, system: str) -> None:
    (tmp_path / "x" / "part").mkdir(parents=True)
    (tmp_path / "x" / "part" / "log").write_text("line\n")
    with (tmp_path / "x" / "part" / "log").open("a") as log:
        with replaced_directory(tmp_path / "x", keep=True) as fresh:
            (fresh / "new").touch()
        log.write("another\n")
    assert (tmp_path / "x" / "part" / "log").read_text() == "line\nanother\n"
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["new", "part"]


def test_everything_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with replaced_directory(tmp_path / "x") as fresh:
        (fresh / "part").mkdir()
        write_bytes(fresh / "part" / "file", b"content")
    assert synced == [*map(str, (fresh, fresh / "part" / "file", fresh / "part", tmp_path))]
    synced.clear()
    write_bytes(tmp_path / "x" / "alone", b"content")
    assert len(synced) == 2 and synced[0].startswith(str(tmp_path / "x" / ".alone.")) and synced[1].endswith("/x")
