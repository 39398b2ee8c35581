"""Those who use the gallery while it moves, each a process: two clients that ask, and a shop whose items change."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hetero
from benchmarks.live_backfill.vectors import RESERVE
from hetero.gallery.away import is_of_a_server

PATIENCE = 0.1


def ask(address: str, folder: Path, which: str, rate: float, out: Path) -> None:
    """Ask one query after the other at a steady pace, and write when, for how long, whether rightly, and any error."""
    held = hetero.load_embeddings(folder / f"{which}-queries.safetensors")
    classes = _classes(folder)
    store = hetero.open_gallery(address, read_only=True)

    def once(number: int) -> str:
        row = number % len(held.names)
        ids = store.search(held.embeddings[row : row + 1], 10, held.space).ids[0]
        return str(int(classes[ids[0]] == classes[held.names[row]]))

    _paced(once, rate, out)


def sell(address: str, folder: Path, rate: float, out: Path) -> None:
    """Add an item and remove another, in turns, as an application of the old model does: until the swap."""
    held = hetero.load_embeddings(folder / "old.safetensors")
    store, size = hetero.open_gallery(address), len(held.names) - RESERVE

    def once(number: int) -> str:
        row = size + number // 2 if number % 2 == 0 else number // 2 * 7
        if number % 2 == 0 and row < len(held.names):
            store.add(held.embeddings[row : row + 1], [held.names[row]], held.space)
            return f"+{row}"
        store.remove([held.names[row % size]])
        return f"-{row % size}"

    _paced(once, rate, out)


def _paced(action: Callable[[int], str], rate: float, out: Path) -> None:
    number, due = 0, time.monotonic()
    with out.open("w", encoding="utf-8", buffering=1) as stream:
        while True:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 1 / rate) + 1 / rate
            started, processor = time.perf_counter(), time.process_time()
            try:
                answer = action(number)
                number += 1
            except Exception as error:
                if not isinstance(error, hetero.InputError) and not is_of_a_server(error):
                    raise
                answer = type(error).__name__
                time.sleep(PATIENCE)
            lasted = 1e3 * (time.perf_counter() - started), 1e3 * (time.process_time() - processor)
            stream.write(f"{time.time():.4f} {lasted[0]:.3f} {lasted[1]:.3f} {answer}\n")


def _classes(folder: Path) -> dict[str, str]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["label"] for row in csv.DictReader(stream)}


@dataclass(frozen=True)
class Seen:
    """What a client wrote.

    Attributes:
        when: Seconds since the epoch, of each call.
        lasted: Milliseconds by the clock.
        processor: Milliseconds of the client's own processor time; a database's work is not in it.
        answers: 1 for a right answer, 0 for a wrong one, or the name of an error.
    """

    when: np.ndarray
    lasted: np.ndarray
    processor: np.ndarray
    answers: list[str]

    @classmethod
    def read(cls, path: Path) -> Seen:
        """Read them."""
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.count(" ") == 3]
        *numbers, answers = zip(*rows, strict=True)
        return cls(*(np.array(column, float) for column in numbers), list(answers))


if __name__ == "__main__":
    role, place, vectors, pace, file = sys.argv[1:]
    if role == "shop":
        sell(place, Path(vectors), float(pace), Path(file))
    else:
        ask(place, Path(vectors), role, float(pace), Path(file))
