"""A job between the calls of an engine: in parts, ended by its end, a stop or an error, which is not lost."""

from __future__ import annotations

import threading
import time

import pytest

from hetero.gallery.embedded.beside import Beside


def until(done: threading.Event) -> None:
    assert done.wait(10)


def test_it_goes_on_until_nothing_is_left_and_begins_again() -> None:
    lock, parts, done = threading.RLock(), list[int](), threading.Event()

    def part() -> bool:
        parts.append(len(parts))
        if finished := len(parts) % 3 == 0:
            done.set()
        return finished

    beside = Beside(lock, part)
    for rounds in (1, 2):
        with lock:
            beside.start()
            beside.start()
        until(done)
        done.clear()
        with lock:
            assert len(parts) == 3 * rounds


def test_no_part_is_done_while_a_call_holds_the_lock_or_after_a_stop() -> None:
    lock, parts = threading.RLock(), list[int]()
    beside = Beside(lock, lambda: bool(parts.append(0)))
    with lock:
        beside.start()
        time.sleep(0.02)
        assert parts == []
        beside.stop()
    time.sleep(0.02)
    with lock:
        beside.start()
    time.sleep(0.02)
    assert parts == []


def test_what_ended_it_is_raised_by_the_next_call() -> None:
    lock, failed = threading.RLock(), threading.Event()

    def part() -> bool:
        failed.set()
        raise OSError("the disk is full")

    beside = Beside(lock, part)
    with lock:
        beside.start()
    until(failed)
    with lock, pytest.raises(OSError, match="the disk is full"):
        beside.start()
