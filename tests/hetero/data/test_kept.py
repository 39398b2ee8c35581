from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hetero.data.decoding.cache import made_once


def whole(directory: Path) -> bool:
    return (directory / "done").is_file()


def test_several_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[int] = []
    start = threading.Barrier(4)

    def make(fresh: Path) -> None:
        made.append(1)
        time.sleep(0.1)
        (fresh / "done").write_text("")

    def one(_: int) -> bool:
        start.wait()
        return whole(made_once(tmp_path / "set", whole, make))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [True] * 4
    assert made == [1]


def test_a_failure_leaves_nothing_and_the_next_try_works(tmp_path: Path) -> None:
    def fail(fresh: Path) -> None:
        (fresh / "half").write_text("")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        made_once(tmp_path / "set", whole, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["set.lock"]
    made_once(tmp_path / "set", whole, lambda fresh: (fresh / "done").touch())
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["done"]


def test_what_a_kill_after_the_exchange_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "done").touch()
    (tmp_path / ".set.0123abcd.unfinished").mkdir()
    made_once(tmp_path / "set", whole, lambda _: pytest.fail("it is whole"))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
