"""One backfill from the first vector to the swap, with everything that is killed on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import hetero
from benchmarks.live_backfill.client import Seen
from benchmarks.live_backfill.vectors import RESERVE
from hetero.gallery.away import is_of_a_server

ROOT = Path(__file__).parents[2]
AT_ONCE = 5000


@dataclass
class Trial:
    """A backfill of one store.

    Attributes:
        address: The gallery's address.
        vectors: The folder of vectors and queries.
        out: A folder for what the clients write.
        rate: Items a second of the backfill.
        asked: Queries a second of each client.
        quiet: Seconds of a pause.
        options: Further ones of the command.
        crash: Kills the server and starts it again; None where there is none.
        loaded: Called when the gallery is built.
        phases: Name, begin and end of each pause and each run of the command.
        filled: When how many items had a new vector.
        kills: When what was killed.
    """

    address: str
    vectors: Path
    out: Path
    rate: float
    asked: float
    quiet: float
    options: list[str]
    crash: Callable[[], None] | None = None
    loaded: Callable[[], None] = lambda: None
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    filled: list[tuple[float, int]] = field(default_factory=list)
    kills: list[tuple[float, str]] = field(default_factory=list)
    status: int | None = None
    told: str = ""

    def run(self) -> None:
        """Build the gallery and move it."""
        self.old, self.new = (hetero.load_embeddings(self.vectors / f"{name}.safetensors") for name in ("old", "new"))
        self.size = len(self.old.names) - RESERVE
        with hetero.open_gallery(self.address, self.old.space) as store:
            for start in range(0, self.size, AT_ONCE):
                rows = slice(start, min(start + AT_ONCE, self.size))
                store.add(self.old.embeddings[rows], self.old.names[rows], self.old.space)
            store.begin(self.new.space)
        self.loaded()
        # Not in the store's order, in which the queries' own designs come first.
        order = np.random.default_rng(0).permutation(self.size)
        (self.out / "order.csv").write_text("name\n" + "\n".join(f'"{self.old.names[row]}"' for row in order))
        with self._clients():
            self._pause("before")
            self._fill_and_kill()
            self._pause("after")
        self._check()

    def _fill_and_kill(self) -> None:
        command = self._command()
        for share in (0.15, 0.3, 0.45):
            self._await(share, command)
            victim = _workers(command.pid)[0]
            os.kill(victim, signal.SIGKILL)
            self.kills.append((time.time(), f"worker at {share:.0%}"))
        if self.crash is not None:
            self._await(0.55, command)
            self.kills.append((time.time(), "server at 55%"))
            self.crash()
        self._await(0.65, command)
        command.kill()
        command.wait()
        self.kills.append((time.time(), "command at 65%"))
        self._ended("filling")
        time.sleep(2)
        self._pause("half-way")
        command = self._command()
        while command.poll() is None:
            self._look()
            time.sleep(1)
        self._ended("filling")
        self.status, self.told = command.returncode, (self.out / "command.log").read_text(encoding="utf-8")

    def _command(self) -> subprocess.Popen[bytes]:
        arguments = ["backfill", "run", self.address, str(self.vectors / "new.safetensors"), "--batch-size", "64"]
        arguments += ["--order", str(self.out / "order.csv")]
        queries = ["--queries", str(self.vectors / "new-queries.safetensors")]
        queries += ["--before", str(self.vectors / "old-queries.safetensors")]
        queries += ["--labels", str(self.vectors / "labels.csv"), "--rate", str(self.rate), "--plain"]
        self._began = time.time()
        with (self.out / "command.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "hetero", *arguments, *queries, *self.options],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def _await(self, share: float, command: subprocess.Popen[bytes]) -> None:
        while self._look() < share * self.size:
            if command.poll() is not None:
                raise SystemExit((self.out / "command.log").read_text(encoding="utf-8"))
            time.sleep(1)

    def _look(self) -> int:
        try:
            with hetero.open_gallery(self.address, read_only=True) as store:
                self.filled.append((time.time(), store.count(self.new.space)))
        except Exception as error:
            if not isinstance(error, hetero.InputError) and not is_of_a_server(error):
                raise
        return self.filled[-1][1] if self.filled else 0

    def _pause(self, name: str) -> None:
        self._began = time.time()
        time.sleep(self.quiet)
        self._ended(name)

    def _ended(self, name: str) -> None:
        self.phases.append((name, self._began, time.time()))

    @contextlib.contextmanager
    def _clients(self) -> Iterator[None]:
        roles = {"old": self.asked, "new": self.asked, "shop": 2.0}
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.live_backfill.client", role, self.address, str(self.vectors),
                 str(pace), str(self.out / f"{role}.txt")],
                cwd=ROOT,
            )
            for role, pace in roles.items()
        ]  # fmt: skip
        try:
            while not all((self.out / f"{role}.txt").is_file() for role in roles):
                time.sleep(0.1)
            time.sleep(2)
            yield
        finally:
            for one in started:
                one.terminate()
                one.wait()

    def _check(self) -> None:
        """Compare the gallery with what should be there, item by item."""
        expected = set(range(self.size))
        for answer in Seen.read(self.out / "shop.txt").answers:
            if answer[0] in "+-":
                (expected.add if answer[0] == "+" else expected.discard)(int(answer[1:]))
        with hetero.open_gallery(self.address) as store:
            backfill = store.begin(self.new.space)
            counts = store.count(self.old.space), store.count(self.new.space)
            rows = np.random.default_rng(0).choice(sorted(expected), min(1000, len(expected)), replace=False)
            near = backfill.search(self.new.embeddings[rows], 1, effort="exact")
            served = store.space.version
        self.outcome: dict[str, Any] = {
            "exit status": self.status,
            "served": served,
            "items that should be there": len(expected),
            "vectors, old and new": counts,
            "of 1,000 items found by their new vector": int((near.scores[:, 0] > 0.998).sum()),
            "kills": [what for _, what in self.kills],
        }


def _workers(command: int) -> list[int]:
    """The processes that a command has started to compute."""
    while True:
        children = Path(f"/proc/{command}/task/{command}/children").read_text(encoding="ascii").split()
        with contextlib.suppress(OSError):
            if found := [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]:
                return found
        time.sleep(0.1)
