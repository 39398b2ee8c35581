"""The database itself refuses what the client would: whoever reaches it past our code gets no further."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.opening import open_gallery
from hetero.space import EmbeddingSpace, MeasuredCompatibility
from tests.hetero.gallery.places import DIMENSION, V1, V2, in_postgres, names, restart_server, vectors

psycopg: Any = pytest.importorskip("psycopg", reason="needs the extra postgres")


@pytest.fixture
def address(tmp_path: Path) -> str:
    return in_postgres(tmp_path)


@pytest.fixture
def connection(address: str) -> Iterator[Any]:
    with open_gallery(address, V1) as store:
        store.add(vectors(5), names(5), V1)
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def literal(vector: np.ndarray) -> str:
    return str(vector.tolist())


@pytest.mark.parametrize(
    ("space", "vector", "refusal"),
    [
        ("nowhere", vectors(1)[0], "no partition"),
        (V1.space_id, vectors(1, space=V2)[0], 'check constraint "dimension"'),
        (V1.space_id, vectors(1)[0] * 2, 'check constraint "unit_length"'),
        (V1.space_id, vectors(1)[0], "duplicate key"),
    ],
)
def test_a_vector_that_does_not_belong_is_refused(
    connection: Any, space: str, vector: np.ndarray, refusal: str
) -> None:
    insert = "INSERT INTO hetero_gallery.vectors SELECT %s, min(item), '', %s::halfvec FROM hetero_gallery.items"
    with pytest.raises(psycopg.Error, match=refusal):
        connection.execute(insert, [space, literal(vector)])


def test_a_query_of_another_space_is_refused_naming_both(connection: Any) -> None:
    search = "SELECT * FROM hetero_gallery.search(%s, %s, 1)"
    assert connection.execute(search, [literal(vectors(1)[0]), V1.space_id]).fetchone()[0] == "item 0"
    with pytest.raises(psycopg.Error, match=f"space {V1.space_id}, the query is of space {V2.space_id}"):
        connection.execute(search, [literal(vectors(1)[0]), V2.space_id])
    with pytest.raises(psycopg.Error, match=f"has {DIMENSION} dimensions, the query has 24"):
        connection.execute(search, [literal(vectors(1, space=V2)[0]), V1.space_id])


def test_clients_may_search_and_nothing_else(address: str, connection: Any) -> None:
    connection.execute("DROP ROLE IF EXISTS phone")
    connection.execute("CREATE ROLE phone LOGIN IN ROLE hetero_gallery_client")
    as_client = address.replace("postgres:@", "phone:@")
    with open_gallery(as_client, read_only=True) as store:
        assert store.space == V1
        assert store.search(vectors(5)[3:4], 1, V1).ids == [["item 3"]]
        with pytest.raises(SpaceMismatchError):
            store.search(vectors(1, space=V2), 1, V2)
        with pytest.raises(InputError, match="opened read-only"):
            store.remove(["item 1"])
    with open_gallery(as_client) as store, pytest.raises(InputError, match="may not do this: permission denied"):
        store.remove(["item 1"])
    with psycopg.connect(as_client, autocommit=True) as client:
        for statement in (
            *("SELECT FROM vectors", "SELECT FROM items", "SELECT fits('{}', '{}')", "DELETE FROM spaces"),
            "SELECT FROM nearest(NULL, NULL, 1, '', '{}', 1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                client.execute(
                    statement.replace("FROM ", "FROM hetero_gallery.").replace("fits", "hetero_gallery.fits")
                )
        # During a backfill the database answers a compatible space from both sides, and no other.
        measured = (MeasuredCompatibility(V1.space_id, "cmc@1", cross=0.6, earlier=0.5),)
        with open_gallery(address) as owner:
            backfill = owner.begin(dataclasses.replace(V2, compatible_with=measured))
            backfill.add(vectors(1, space=V2), backfill.missing(1), V2)
        search = "SELECT id FROM hetero_gallery.search(%s, %s, 5)"
        mixed = client.execute(search, [literal(vectors(1, space=V2)[0]), V2.space_id]).fetchall()
        assert mixed[0][0] == "item 0" and len(mixed) == 5
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            client.execute("SELECT FROM hetero_gallery.mixed(NULL, NULL, NULL, 1, '', '{}', 1)")
    connection.execute("DROP ROLE phone")


def test_pgvector_may_be_in_a_schema_of_its_own(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("CREATE SCHEMA extensions")
        connection.execute("ALTER EXTENSION vector SET SCHEMA extensions")
        try:
            with open_gallery(address, V1) as store:
                store.add(vectors(3), names(3), V1)
                assert store.search(vectors(3)[2:], 1, V1).ids == [["item 2"]]
                assert len(store.begin(V2).missing()) == 3
            with open_gallery(address, read_only=True) as store:
                assert store.search(vectors(3)[2:], 1, V1).ids == [["item 2"]]
        finally:
            connection.execute("ALTER EXTENSION vector SET SCHEMA public")
            connection.execute("DROP SCHEMA extensions")


def test_a_space_that_cannot_be_indexed_is_refused(address: str, connection: Any) -> None:
    wide = EmbeddingSpace.define(defined_by="c", name="wide", version="1", dimension=4001)
    with open_gallery(address) as store, pytest.raises(InputError, match="at most 4000 dimensions, those of wide 1"):
        store.begin(wide)


def test_the_graph_is_used_and_what_it_gives_up_on_is_found(connection: Any, address: str) -> None:
    some = vectors(3000, seed=1)
    with open_gallery(address) as store:
        store.add(some, [f"row {row}" for row in range(3000)], V1)
        store.add(some[:2], ["rare 0", "rare 1"], V1, attributes=[{"rare": "yes"}] * 2)
        exact = store.search(some[:20], 10, V1, effort="exact").ids
        near = store.search(some[:20], 10, V1).ids
        shared = [len({*a} & {*b}) for a, b in zip(exact, near, strict=True)]
        assert sum(shared) > 0.95 * 200
        assert store.search(some[50:51], 5, V1, where={"rare": "yes"}, effort=10).ids[0] in (
            ["rare 0", "rare 1"], ["rare 1", "rare 0"],
        )  # fmt: skip
    connection.execute("ANALYZE hetero_gallery.vectors, hetero_gallery.items")
    uses = "SELECT sum(idx_scan) FROM pg_stat_user_indexes JOIN pg_indexes ON indexname = indexrelname "
    uses += "WHERE indexdef LIKE '%%USING hnsw%%'"
    before = connection.execute(uses).fetchone()[0]
    connection.execute("SELECT FROM hetero_gallery.search(%s, %s, 10)", [literal(some[0]), V1.space_id])
    connection.execute("SELECT pg_stat_force_next_flush()")
    assert connection.execute(uses).fetchone()[0] > before
    before = connection.execute(uses).fetchone()[0]
    with open_gallery(address) as store:
        store.search(some[:20], 10, V1)
        store._engine._connection.execute("SELECT pg_stat_force_next_flush()")  # pyright: ignore
    assert connection.execute(uses).fetchone()[0] > before


def test_a_search_is_one_request_also_after_a_swap_by_another(address: str, connection: Any) -> None:
    with open_gallery(address) as store:
        engine: Any = store._engine  # pyright: ignore[reportPrivateUsage]
        store.search(vectors(1), 3, V1)
        with counted(engine) as statements:
            assert store.search(vectors(5)[3:], 3, V1).ids[0][0] == "item 3"
        assert len(statements) == 1
        with open_gallery(address) as other:
            backfill = other.begin(V2)
            backfill.add(vectors(5, space=V2), backfill.missing(), V2)
            backfill.swap()
        with pytest.raises(SpaceMismatchError, match=f"{V2.space_id}.*{V1.space_id}"):
            store.search(vectors(1), 3, V1)
        assert store.search(vectors(5, space=V2)[4:], 1, V2).ids == [["item 4"]]
        with counted(engine) as statements:
            store.search(vectors(5, space=V2), 5, V2)
        assert len(statements) == 1


def test_where_candidates_are_too_few_a_search_goes_on(address: str) -> None:
    with open_gallery(address, V1) as store:
        store.add(vectors(200, seed=1), [f"row {row}" for row in range(200)], V1)
        store.add(vectors(3, seed=2), names(3), V1, tenant="shop")
        for k, tenant, count in ((50, "", 50), (300, "", 200), (5, "shop", 3), (5, "nobody", 0)):
            near = store.search(vectors(4, seed=1), k, V1, tenant=tenant, effort=2).ids
            exact = store.search(vectors(4, seed=1), k, V1, tenant=tenant, effort="exact").ids
            assert [len(ids) for ids in near] == [len(ids) for ids in exact] == [count] * 4
            assert tenant == "" or near == exact
            with psycopg.connect(address, autocommit=True) as client:
                search = "SELECT count(*) FROM hetero_gallery.search(%s, %s, %s, %s, '{}', 2)"
                asked = [literal(vectors(1, seed=1)[0]), V1.space_id, k, tenant]
                assert client.execute(search, asked).fetchone() == (count,)


@contextmanager
def counted(engine: Any) -> Generator[list[Any]]:
    """The statements that an engine sends in the block."""
    statements: list[Any] = []
    own = engine._connection

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(own, name)

        def execute(self, statement: Any, *values: Any, **options: Any) -> Any:
            statements.append(statement)
            return own.execute(statement, *values, **options)

    engine._connection = engine._tables._connection = Counting()
    yield statements
    engine._connection = engine._tables._connection = own


def test_a_crashed_server_loses_nothing_and_the_store_connects_again(address: str, connection: Any) -> None:
    with open_gallery(address) as store:
        store.add(vectors(1, seed=9), ["late"], V1)
        # At once, without a checkpoint: what was acknowledged is in the write-ahead log alone.
        restart_server("immediate")
        with pytest.raises(psycopg.OperationalError):
            store.search(vectors(1, seed=9), 1, V1)
        assert store.search(vectors(1, seed=9), 1, V1).ids == [["late"]]
        assert len(store) == 6


def test_a_backfill_begins_while_the_gallery_is_read(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetero.gallery.postgres.reading.ROWS", 2)
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=5s")
    with open_gallery(address, V1) as store:
        store.add(vectors(5), names(5), V1)
        pages = store.pages()
        assert next(pages).ids == names(2)
        backfill = store.begin(V2)
        backfill.add(vectors(5, space=V2), backfill.missing(), V2)
        backfill.swap()
        store.add(vectors(1, space=V2), ["item 4"], V2)
        assert [name for page in pages for name in page.ids] == names(5)[2:]
        assert [page.vectors.shape for page in store.pages()] == [(2, 24), (2, 24), (1, 24)]
        assert [name for page in store.pages(V1) for name in page.ids] == names(4)


def test_who_may_read_the_tables_finds_what_clients_find(address: str) -> None:
    with open_gallery(address, V1) as store:
        colours = [{"colour": "red" if number % 3 else "blue"} for number in range(60)]
        store.add(vectors(60), names(60), V1, attributes=colours)
        store.add(vectors(3, seed=1), names(3), V1, tenant="other")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS phone")
        connection.execute("CREATE ROLE phone LOGIN IN ROLE hetero_gallery_client")
    asked = vectors(4, seed=2)
    with (
        open_gallery(address, read_only=True) as owner,
        open_gallery(address.replace("postgres:@", "phone:@"), read_only=True) as client,
    ):
        for k, options in [
            (5, {}),
            (5, {"effort": "exact"}),
            (25, {"where": {"colour": "blue"}}),
            (5, {"tenant": "other", "effort": 200}),
            (5, {"where": {"colour": ["red", "green"]}, "effort": 8}),
        ]:
            one, other = (store.search(asked, k, V1, **options) for store in (owner, client))
            assert one.ids == other.ids, options
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE phone")
