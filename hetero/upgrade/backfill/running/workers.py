"""The workers that compute vectors: this process, processes that may be killed, or the nodes of a Ray cluster."""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from hetero.display.text import say
from hetero.errors import InputError
from hetero.gallery.store import Item
from hetero.processes.children import spawn_context
from hetero.processes.cluster import RETRIES, join_cluster, result_of
from hetero.processes.sendable import sendable
from hetero.upgrade.backfill.running.source import VectorSource, require_same

_LOSSES = 5
"""Workers lost one after the other, without a batch between them, after which no other is started."""
_AHEAD = 2


@dataclass(frozen=True)
class Batch:
    """Items whose vectors are computed together.

    Attributes:
        items: The items.
        rows: int64 [n], their rows in the source.
    """

    items: list[Item]
    rows: Int64[np.ndarray, " n"]


Done = Iterator[tuple[Batch, Float32[np.ndarray, "n d"]]]


@runtime_checkable
class Workers(Protocol):
    """Whoever computes the vectors of batches."""

    def vectors(self, source: VectorSource, batches: Iterable[Batch]) -> Done:
        """Yield batches with their vectors as they are done, about in order; a lost worker's batch is done by another.

        Raises:
            InputError: When workers are lost again and again.
        """
        ...


class Here:
    """The current process as the only worker."""

    def vectors(self, source: VectorSource, batches: Iterable[Batch]) -> Done:
        """Yield batches with their vectors."""
        for batch in batches:
            yield batch, source.vectors(batch.rows)


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, each of which may be killed at any time: another takes its place.

    They end with this process, in whatever way it ends.

    Attributes:
        count: Number of processes.
    """

    count: int

    def vectors(self, source: VectorSource, batches: Iterable[Batch]) -> Done:
        """Yield batches with their vectors."""
        waiting, returned = iter(batches), deque[Batch]()
        busy: dict[Connection, tuple[_Process, Batch]] = {}
        losses = 0

        def employ(process: _Process | None = None) -> None:
            """Give a process, or a new one, the next batch, if there is one."""
            batch = returned.popleft() if returned else next(waiting, None)
            if batch is not None:
                process = process or _Process(source)
                process.give(batch)
                busy[process.connection] = process, batch
            elif process is not None:
                process.end()

        try:
            for _ in range(self.count):
                employ()
            while busy:
                for connection in wait([*busy]):
                    assert isinstance(connection, Connection)
                    process, batch = busy[connection]
                    answer = process.answer()
                    del busy[connection]
                    if answer is None:
                        losses += 1
                        process.end()
                        if losses >= _LOSSES:
                            raise InputError(
                                f"{losses} workers died one after the other, most likely for lack of memory; what is "
                                "done is stored, and the same command with fewer --workers continues"
                            )
                        say("note: a worker died; another takes its place", error=True)
                        returned.append(batch)
                        employ()
                        continue
                    losses = 0
                    # The next one first: it is computed while this one is stored.
                    employ(process)
                    yield batch, answer
        finally:
            for process, _ in busy.values():
                process.end()


class _Process:
    """A process that computes the vectors of rows that it is given."""

    def __init__(self, source: VectorSource) -> None:
        context = spawn_context()
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, source, source.identity), daemon=True)
        with theirs:
            self._process.start()

    def give(self, batch: Batch) -> None:
        with contextlib.suppress(OSError):  # it died, as its answer will say
            self.connection.send(batch.rows)

    def answer(self) -> Float32[np.ndarray, "n d"] | None:
        """Return the vectors; None when the process died.

        Raises:
            Exception: What the process raised.
        """
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()


def _work(connection: Connection, source: VectorSource, identity: str) -> None:
    """Compute vectors until nobody asks for more."""
    # Ctrl-C reaches the command, too, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            rows = connection.recv()
        except (EOFError, OSError):  # the command has ended, in whatever way
            return
        try:
            require_same(source, identity)
            answer = source.vectors(rows)
        except Exception as error:
            answer = sendable(error)
        with contextlib.suppress(OSError):  # the command has ended, and so will this process
            connection.send(answer)


@dataclass(frozen=True)
class Cluster:
    """The nodes of a Ray cluster, a task a batch and core; the batches of a lost node are computed by others.

    Every node needs the same version of hetero, and model, images or embeddings at the same paths.

    Attributes:
        ray: The library.
        address: As ``ray start`` prints it, or ``auto``.
    """

    ray: Any
    address: str

    def vectors(self, source: VectorSource, batches: Iterable[Batch]) -> Done:
        """Yield batches with their vectors.

        Raises:
            InputError: When there is no cluster at the address, or tasks are lost with their nodes.
        """
        ray, waiting = self.ray, iter(batches)
        join_cluster(ray, self.address)
        try:
            task = ray.remote(num_cpus=1, max_retries=RETRIES)(_vectors)
            shared, running = ray.put((source, source.identity)), dict[Any, Batch]()
            most = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while True:
                while len(running) < most and (batch := next(waiting, None)) is not None:
                    running[task.remote(shared, batch.rows)] = batch
                if not running:
                    return
                (done,), _ = ray.wait([*running], num_returns=1)
                vectors = result_of(ray, done)
                yield running.pop(done), vectors
        finally:
            ray.shutdown()


def _vectors(shared: tuple[VectorSource, str], rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    source = _opened(shared[0])
    require_same(source, shared[1])
    return source.vectors(rows)


@lru_cache(maxsize=1)
def _opened(source: VectorSource) -> VectorSource:
    """Return an equal source that this process has opened already, if there is one."""
    return source
