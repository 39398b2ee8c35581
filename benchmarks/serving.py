"""What a service costs: queries a second through ``hetero serve``, beside the same searches in SQL by the same clients.

    python -m benchmarks.serving --vectors 100000 --seconds 30

The clients are processes that ask again as soon as they are answered; each way of asking gets its seconds in slices, in
turns with the others, since others may use the machine. Beside the clock stands the time of processors that a query
took in all processes together: clients, service and database; and by each of them, of one client that asks in each way
in turn. The service has a connection of the database for each client, as SQL has. SQL takes vectors as texts, as
pgvector's documentation does. Vectors are drawn as in ``benchmarks.gallery_vectors``.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gallery_stores import SPACE, K
from benchmarks.gallery_vectors import AT_ONCE, QUERIES, near_subspace
from benchmarks.machine import where_and_when
from hetero import open_gallery

EFFORT = 64
SLICES, BLOCKS, WARM = 6, 60, 8
_RAW = (
    "SELECT number, id, score FROM unnest(%s::halfvec[]) WITH ORDINALITY AS query (vector, number) CROSS JOIN LATERAL ("
    "SELECT items.id, -(part.vector::halfvec(256) <#> query.vector) AS score FROM hetero_gallery.{table} AS part "
    "JOIN hetero_gallery.items USING (item) ORDER BY part.vector::halfvec(256) <#> query.vector LIMIT {k}) AS near"
)
_FUNCTION = (
    "SELECT number, id, score FROM unnest(%s::halfvec[]) WITH ORDINALITY AS query (vector, number) CROSS JOIN LATERAL "
    f"hetero_gallery.search(vector, '{SPACE.space_id}', {{k}})"
)


def fill(address: str, count: int, seed: int) -> float:
    """Fill a gallery; returns seconds of the clock."""
    started = time.perf_counter()
    with open_gallery(address, SPACE) as store:
        for number, block in enumerate(near_subspace(count, seed)):
            if len(store) < (number + 1) * AT_ONCE:
                store.add(block, [f"photos/{number:05d}/{row:05d}.jpg" for row in range(len(block))], SPACE)
    return round(time.perf_counter() - started, 1)


@contextmanager
def database(folder: Path) -> Generator[str]:
    """The server of ``hetero serve --local``, which does not run as root."""
    from hetero.serving.postgres import postgres_server

    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        import pwd

        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    with postgres_server(folder) as address:
        yield address


@contextmanager
def service(address: str, at_once: int) -> Generator[tuple[int, int]]:
    """A running ``hetero serve``; yields its port and its process."""
    command = [
        sys.executable,
        "-m",
        "hetero",
        "serve",
        address,
        "--port",
        "0",
        "--read-only",
        "--at-once",
        str(at_once),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield int(re.findall(r":(\d+)$", line.strip())[0]), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def asking(way: str, target: str, size: int) -> Callable[[np.ndarray], object]:
    """What one client does with a block of queries, on a connection of its own."""
    if way == "serve":
        connection = http.client.HTTPConnection("127.0.0.1", int(target))

        def post(block: np.ndarray) -> object:
            vectors = [base64.b64encode(row.tobytes()).decode() for row in block]
            body = json.dumps({"space": SPACE.space_id, "vectors": vectors, "k": K, "effort": EFFORT})
            connection.request("POST", "/search", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            ids = json.loads(answer.read())["ids"]
            assert answer.status == 200 and len(ids) == len(block) and len(ids[0]) == K
            return ids

        return post
    import psycopg

    database = psycopg.connect(target, autocommit=True)
    database.execute("SET search_path = hetero_gallery, public")
    database.execute(f"SET hnsw.ef_search = {EFFORT}")
    table = database.execute("SELECT 'vectors_' || number FROM spaces JOIN serving USING (space_id)").fetchone()
    statement: Any = (_RAW if way == "sql" else _FUNCTION).format(table=table and table[0], k=K)
    database.prepare_threshold = 0

    def select(block: np.ndarray) -> object:
        texts = [f"[{','.join(map(repr, row))}]" for row in block.astype(np.float16).tolist()]
        rows = database.execute(statement, [texts]).fetchall()
        assert len(rows) == len(block) * K
        return rows

    return select


def client(way: str, target: str, size: int, seed: int) -> None:
    """Ask when told to, for as long as told; print the latencies, and the client's time of the processor."""
    queries = np.concatenate(list(near_subspace(QUERIES, seed)))
    at, ask = 0, asking(way, target, size)
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "connect\n":
            # Anew for each slice: a service closes connections that are idle.
            ask = asking(way, target, size)
            ask(queries[:size])
            print("ready", flush=True)
            continue
        ends, before, latencies = time.perf_counter() + float(line), time.process_time(), list[float]()
        while (started := time.perf_counter()) < ends:
            ask(queries[at : at + size])
            latencies.append(time.perf_counter() - started)
            at = (at + size) % (QUERIES - size)
        print(json.dumps([latencies, time.process_time() - before]), flush=True)


class Clients:
    """Clients that ask in one way."""

    def __init__(self, way: str, target: str, size: int, count: int, seed: int, servers: Callable[[], float]) -> None:
        command = [sys.executable, "-m", "benchmarks.serving", "--client", way, target, str(size), str(seed)]
        self._processes = [
            subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for number in range(count)
        ]
        self._size, self._servers = size, servers
        self._latencies: list[float] = []
        self._processor = self._clock = 0.0
        self._hear()

    def ask(self, seconds: float) -> None:
        """Ask for some seconds."""
        self._tell("connect")
        self._hear()
        before, started = self._servers(), time.perf_counter()
        self._tell(str(seconds))
        for latencies, processor in map(json.loads, self._hear()):
            self._latencies += latencies
            self._processor += processor
        self._clock += time.perf_counter() - started
        self._processor += self._servers() - before

    def _tell(self, line: str) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def _hear(self) -> list[str]:
        return [process.stdout.readline() for process in self._processes if process.stdout is not None]

    def figures(self) -> dict[str, float]:
        """End; returns what was measured."""
        for process in self._processes:
            process.communicate()
        queries = len(self._latencies) * self._size
        middle, late = np.percentile(self._latencies, [50, 99])
        return {
            "queries_per_s": round(queries / self._clock, 1),
            "p50_ms": round(1000 * float(middle), 2),
            "p99_ms": round(1000 * float(late), 2),
            "processor_ms_a_query": round(1000 * self._processor / queries, 3),
        }


def processor_seconds(*processes: int) -> float:
    """Of these processes and of all that they started and that run still."""
    nanoseconds, waiting = 0, list(processes)
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}/task")
        try:
            for task in folder.iterdir():
                nanoseconds += int((task / "schedstat").read_text().split()[0])
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return nanoseconds / 1e9


def measure(ways: dict[str, Clients], seconds: float) -> dict[str, Any]:
    for number in range(SLICES):
        # Forwards and backwards, so that each follows each.
        for clients in list(ways.values())[:: -1 if number % 2 else 1]:
            clients.ask(seconds / SLICES)
    return {name: clients.figures() for name, clients in ways.items()}


def alternately(ways: dict[str, tuple[Callable[[np.ndarray], object], dict[str, int]]], size: int) -> dict[str, Any]:
    """One client asks each block in each way: where a query's time of processors goes, whatever else the machine does.

    Args:
        ways: Name -> what asks, and the processes that answer.
        size: Queries at once.
    """
    queries = np.concatenate(list(near_subspace(BLOCKS * size, 99)))
    spent = {way: dict.fromkeys(["client", *servers], 0.0) for way, (_, servers) in ways.items()}
    for start in range(-WARM * size, BLOCKS * size, size):
        block = queries[max(start, 0) :][:size]
        for way, (ask, servers) in ways.items():
            before = {name: processor_seconds(process) for name, process in servers.items()}
            own = time.process_time()
            ask(block)
            own = time.process_time() - own
            if start >= 0:
                spent[way]["client"] += own
                for name, process in servers.items():
                    spent[way][name] += processor_seconds(process) - before[name]
    per_query = {
        way: {name: 1000 * value / BLOCKS / size for name, value in some.items()} for way, some in spent.items()
    }
    return {
        way: {name: round(value, 3) for name, value in {**some, "sum": sum(some.values())}.items()}
        for way, some in per_query.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each way of asking")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the galleries are kept; a temporary folder by default")
    parser.add_argument("--without", nargs="*", default=[], choices=["postgres", "usearch"])
    parser.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        way, target, size, seed, number = options.client
        client(way, target, int(size), 1000 * (int(seed) + 1) + int(number))
        return
    names = ("vectors", "seconds", "clients", "batch", "seed")
    figures: dict[str, Any] = {name: getattr(options, name) for name in names}
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)

        def clients(way: str, target: str, size: int, servers: Callable[[], float]) -> Clients:
            return Clients(way, target, size, options.clients, options.seed, servers)

        if "postgres" not in options.without:
            address = stack.enter_context(database(folder / "postgres"))
            figures["postgres_fill_s"] = fill(address, options.vectors, options.seed)
            master = int((folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
            port, process = stack.enter_context(service(address, options.clients))
            ways = {
                f"{way}_of_{size}": clients(
                    way, str(port) if way == "serve" else address, size, lambda: processor_seconds(master, process)
                )
                for size in (1, options.batch)
                for way in ("sql", "serve")
            }
            figures["postgres"] = measure(ways, options.seconds)
            figures["processor_ms_a_query"] = {
                f"of_{size}": alternately(
                    {
                        "sql": (asking("sql", address, size), {"database": master}),
                        "function": (asking("function", address, size), {"database": master}),
                        "serve": (asking("serve", str(port), size), {"service": process, "database": master}),
                    },
                    size,
                )
                for size in (1, options.batch)
            }
        if "usearch" not in options.without:
            address = f"usearch:{folder / 'usearch'}"
            figures["usearch_fill_s"] = fill(address, options.vectors, options.seed)
            with service(address, 1) as (port, process):
                ways = {
                    f"serve_of_{size}": clients("serve", str(port), size, lambda: processor_seconds(process))
                    for size in (1, options.batch)
                }
                figures["usearch"] = measure(ways, options.seconds)
        print(json.dumps({**where_and_when(), **figures}, indent=2))


if __name__ == "__main__":
    main()
