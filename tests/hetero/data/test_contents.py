from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hetero.data import contents as module
from hetero.data.contents import contents
from hetero.files import sha256_file


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read, in order."""
    names: list[str] = []
    whole: Callable[[bytes], tuple[str, str]] = module._read  # pyright: ignore[reportPrivateUsage]

    def noting(place: bytes) -> tuple[str, str]:
        names.append(Path(os.fsdecode(place)).name)
        return whole(place)

    monkeypatch.setattr(module, "_read", noting)
    return names


def written(folder: Path, **texts: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as old although they were just written."""
    monkeypatch.setattr(module, "SETTLED_SECONDS", -60.0)


def digests(files: list[Path], cache: Path) -> list[str]:
    return contents(files, cache, progress="")


def test_files_that_nobody_touched_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    settle(monkeypatch)
    files = written(tmp_path / "a", x="1", y="2")
    expected = [sha256_file(file) for file in files]
    assert digests([*files, files[0]], tmp_path / "cache") == [*expected, expected[0]]
    assert digests(files, tmp_path / "cache") == expected
    link = tmp_path / "link"
    link.symlink_to(files[0])
    assert digests([link], tmp_path / "cache") == expected[:1], "known by its resolved path"
    assert read == ["x", "y"]


def test_a_change_that_restores_size_and_time_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    settle(monkeypatch)
    (file,) = written(tmp_path / "a", x="one")
    before = file.stat()
    (first,) = digests([file], tmp_path / "cache")
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    (second,) = digests([file], tmp_path / "cache")
    (other,) = written(tmp_path / "b", x="red")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    (third,) = digests([file], tmp_path / "cache")
    assert len({first, second, third}) == 3 and third == sha256_file(file)
    assert read == ["x"] * 3


def test_the_digest_of_a_file_just_written_is_not_kept(tmp_path: Path, read: list[str]) -> None:
    files = written(tmp_path / "a", x="1")
    digests(files, tmp_path / "cache")
    digests(files, tmp_path / "cache")
    assert read == ["x", "x"], "a change within the same tick of the clock would leave no trace"


def test_a_damaged_index_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    settle(monkeypatch)
    files, cache = written(tmp_path / "a", x="1"), tmp_path / "cache"
    expected = digests(files, cache)
    (cache / "contents.sqlite3").write_bytes(b"no database, " * 100)
    assert digests(files, cache) == expected
    assert digests(files, cache) == expected and read == ["x", "x"]
    shutil.rmtree(cache)
    cache.write_text("a file where the cache should be")
    assert digests(files, cache) == expected


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    assert digests([tmp_path / "gone", tmp_path], tmp_path / "cache") == [
        "unreadable: No such file or directory",
        "unreadable: Is a directory",
    ]


def test_names_of_any_bytes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    settle(monkeypatch)
    file = tmp_path / os.fsdecode(b"caf\xe9")
    file.write_text("1")
    assert digests([file], tmp_path / "cache") == digests([file], tmp_path / "cache") == [sha256_file(file)]
    assert len(read) == 1
    with sqlite3.connect(tmp_path / "cache" / "contents.sqlite3") as connection:
        ((place,),) = connection.execute("SELECT path FROM contents").fetchall()
    assert place == os.fsencode(file)
