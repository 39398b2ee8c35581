from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hetero.data.loader import batches

IMAGES = np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)


def rows(*groups: list[int]) -> Iterator[np.ndarray]:
    return (np.array(group, np.int64) for group in groups)


@pytest.mark.parametrize("mapped", [False, True])
def test_batches_come_in_order(tmp_path: Path, mapped: bool) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    images = np.load(tmp_path / "images.npy", mmap_mode="r" if mapped else None)
    got = [batch[:, 0, 0, 0].tolist() for batch in batches(images, rows([3, 1], [2], [9, 9, 0]))]
    assert got == [[3, 1], [2], [9, 9, 0]]
    assert list(batches(images, rows())) == []


def test_no_thread_reads_what_is_in_memory() -> None:
    iterator = batches(IMAGES, rows([0], [1]))
    next(iterator)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_the_next_batch_is_read_while_one_is_used() -> None:
    class Watched:
        shape = (10, 1, 1, 3)

        def __init__(self) -> None:
            self.read = threading.Semaphore(0)

        def __len__(self) -> int:
            return 10

        def __getitem__(self, indices: np.ndarray | slice, /) -> np.ndarray:
            self.read.release()
            return IMAGES[indices]

    images = Watched()
    iterator = batches(images, rows([0], [1], [2], [3], [4]), ahead=2)
    next(iterator)
    assert all(images.read.acquire(timeout=5) for _ in range(3)), "two batches more than what was taken"
    assert not images.read.acquire(timeout=0.05), "and not everything at once"
    iterator.close()  # type: ignore[attr-defined]


def test_errors_reach_the_reader() -> None:
    with pytest.raises(IndexError):
        list(batches(IMAGES, rows([0], [77])))
    with pytest.raises(ValueError, match="at least 1"):
        batches(IMAGES, rows([0]), ahead=0)
