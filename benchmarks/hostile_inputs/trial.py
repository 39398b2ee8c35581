"""Hand inputs to the product in a process apart, and count how that ends.

A worker takes one input after another. One that dies, or does not answer in time, is replaced: the input at fault is
known. Workers are killed at the end, too, since whatever they started must end with them, whoever asks.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from device_tests.verdict.verdict import NOT_VERIFIED
from hetero.cli.ending import BAD_INPUT, FAULT, ending
from hetero.display.text import shown

Answer = Literal["refused", "right", "wrong"]
Attempt = Callable[[int], tuple[Answer, str]]
"""Makes the input of a number and hands it over; what the product raised, it raises."""
Start = Callable[[Path], contextlib.AbstractContextManager[Attempt]]
"""Prepares a worker in a folder of its own."""

MEMORY_BYTES = 4 << 30
"""Of address space, that a worker may take beside what it starts with: a message about too little memory counts as a
crash."""
_BATCH = 250
_LONGEST_MESSAGE = 300_000
_TO_END_SECONDS = 10.0
# Of <linux/prctl.h>: children whose parent died become this process's.
_BE_SUBREAPER = 36


@dataclass
class Count:
    """What became of the inputs of a kind.

    Attributes:
        inputs: How many were handed over.
        answers: How many of them had each answer.
        crashes: Workers that died, or ran out of memory.
        tracebacks: Errors that are no message for users.
        hangs: Inputs that took longer than the limit.
        orphans: Processes that outlived the worker that started them.
        seconds: All of it, by the clock.
        slowest: The longest that one input took, in seconds.
        findings: Number of the input and what was wrong.
    """

    inputs: int = 0
    answers: dict[str, int] = field(default_factory=lambda: {"refused": 0, "right": 0, "wrong": 0})
    crashes: int = 0
    tracebacks: int = 0
    hangs: int = 0
    orphans: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    findings: list[str] = field(default_factory=list[str])


def try_inputs(start: Start, numbers: range, folder: Path, limit_seconds: float) -> Count:
    """Hand over the inputs of some numbers.

    Args:
        start: Prepares a worker.
        numbers: Each makes one input.
        folder: For the workers.
        limit_seconds: That one input may take.
    """
    count, begun, following = Count(), time.perf_counter(), numbers.start
    with _orphans_come_here():
        while following < numbers.stop:
            place = folder / f"worker {following}"
            place.mkdir(parents=True)
            batch, others = range(following, min(following + _BATCH, numbers.stop)), _children()
            with _worker(start, batch, place) as told:
                following = _listen(told, batch, limit_seconds, count)
            count.orphans += _left_over(others)
    count.seconds = time.perf_counter() - begun
    return count


@contextlib.contextmanager
def _orphans_come_here() -> Generator[None]:
    prctl = ctypes.CDLL(None).prctl
    prctl(_BE_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_BE_SUBREAPER, 0, 0, 0, 0)


@contextlib.contextmanager
def _worker(start: Start, numbers: range, folder: Path) -> Generator[IO[bytes]]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _work(start, numbers, folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as told:
        try:
            yield told
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _work(start: Start, numbers: range, folder: Path, writing: int) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.environ |= {"TMPDIR": str(folder), "HETERO_CACHE": str(folder / "cache")}
    most = _address_space() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    with start(folder) as attempt:
        for number in numbers:
            os.write(writing, json.dumps(_judged(attempt, number)).encode() + b"\n")
        signal.pause()


def _address_space() -> int:
    """Return the bytes of address space that this process has, which a fork inherits."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _judged(attempt: Attempt, number: int) -> tuple[str, str]:
    """An answer, or how an error would have ended a command."""
    try:
        return attempt(number)
    except MemoryError:
        return "crash", "out of memory"
    except BaseException as error:
        status, told = ending(error)
        if status == FAULT:
            return "traceback", told
        if status not in (BAD_INPUT, NOT_VERIFIED) or len(told) > _LONGEST_MESSAGE:
            return "wrong", f"ended with {status} and {len(told)} characters"
        shown(told).encode()
        return "refused", ""


def _listen(told: IO[bytes], numbers: range, limit_seconds: float, count: Count) -> int:
    """Count answers until the worker has given all of them, or none in time; returns the number to go on with."""
    unread = b""
    for number in numbers:
        begun = time.perf_counter()
        # The first one waits for the worker to be ready, too.
        until = begun + limit_seconds + (60 if number == numbers.start else 0)
        while b"\n" not in unread:
            ready, _, _ = select.select([told], [], [], max(0.0, until - time.perf_counter()))
            more = told.read(1 << 16) if ready else None
            if not more:
                _note(count, number, *(("hang", f"no answer in {limit_seconds} s") if more is None else ("crash", "")))
                return number + 1
            unread += more
        line, _, unread = unread.partition(b"\n")
        count.slowest = max(count.slowest, time.perf_counter() - begun) if number != numbers.start else count.slowest
        _note(count, number, *json.loads(line))
    return numbers.stop


def _note(count: Count, number: int, what: str, why: str) -> None:
    count.inputs += 1
    if what in count.answers:
        count.answers[what] += 1
    count.crashes += what == "crash"
    count.tracebacks += what == "traceback"
    count.hangs += what == "hang"
    if what not in ("refused", "right"):
        count.findings.append(f"{number}: {what}: {why[-2000:]}")


def _left_over(others: set[int]) -> int:
    """End what outlives a killed worker; how many of its processes had to be."""
    until = time.monotonic() + _TO_END_SECONDS
    while (alive := _children() - others) and time.monotonic() < until:
        for child in alive:
            os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(alive)


def _children() -> set[int]:
    return {int(one) for file in Path("/proc/self/task").glob("*/children") for one in file.read_text().split()}
