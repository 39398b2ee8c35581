"""Functions of a gallery that an earlier version made: its owner brings them up to date, and nobody else uses them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from hetero.errors import InputError
from hetero.gallery.opening import open_gallery
from tests.hetero.gallery.places import V1, in_postgres, names, vectors

psycopg: Any = pytest.importorskip("psycopg", reason="needs the extra postgres")

ROLES = ("keeper", "phone", "reader")
EARLIER = """
DROP FUNCTION hetero_gallery.search, hetero_gallery.served, hetero_gallery.mixed, hetero_gallery.near;
CREATE FUNCTION hetero_gallery.search(sought halfvec, space text, k integer) RETURNS TABLE (name text)
LANGUAGE sql SECURITY DEFINER AS $$ SELECT 'nothing' $$;
CREATE FUNCTION hetero_gallery.served() RETURNS jsonb LANGUAGE sql SECURITY DEFINER
AS $$ SELECT record FROM hetero_gallery.spaces LIMIT 1 $$;
CREATE FUNCTION hetero_gallery.near(one text, other text) RETURNS text LANGUAGE sql RETURN one || other;
"""
"""Other results, arguments and names of arguments; a function less; callable by everybody."""
SAME_SIGNATURE = """
CREATE OR REPLACE FUNCTION hetero_gallery.fits(attributes jsonb, wanted jsonb) RETURNS boolean
LANGUAGE sql RETURN false;
COMMENT ON FUNCTION hetero_gallery.search IS NULL;
"""


@pytest.fixture
def superuser(tmp_path: Path) -> Iterator[str]:
    """Address of a database where ``keeper`` may make a gallery, ``phone`` is a client and ``reader`` nothing yet."""
    address = in_postgres(tmp_path)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute("ALTER ROLE keeper CREATEROLE")
        connection.execute("GRANT CREATE ON DATABASE postgres TO keeper")
        with open_gallery(as_role("keeper", address), V1) as store:
            store.add(vectors(5), names(5), V1, attributes=[{"row": str(row)} for row in range(5)])
        connection.execute("GRANT hetero_gallery_client TO phone")
        yield address
        connection.execute("DROP SCHEMA hetero_gallery CASCADE")
        for role in ROLES:
            connection.execute(f"DROP OWNED BY {role} CASCADE")
            connection.execute(f"DROP ROLE {role}")


@pytest.fixture
def connection(superuser: str) -> Iterator[Any]:
    """A connection as the gallery's owner."""
    with psycopg.connect(as_role("keeper", superuser), autocommit=True) as connection:
        connection.execute("SET search_path = hetero_gallery, public")
        yield connection


def as_role(role: str, address: str) -> str:
    return address.replace("postgres:@", f"{role}:@")


def functions(connection: Any) -> dict[str, tuple[int, str, bool, bool]]:
    """Name of each function -> number, owner, whether clients may call it, and whether everybody may."""
    rows = connection.execute(
        "SELECT proname, oid::bigint, proowner::regrole::text, has_function_privilege('hetero_gallery_client', oid, "
        "'EXECUTE'), proacl IS NULL OR proacl::text LIKE '%{=X%' OR proacl::text LIKE '%,=X%' "
        "FROM pg_proc WHERE pronamespace = 'hetero_gallery'::regnamespace"
    ).fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: tuple(row[1:]) for row in rows}


def tables(connection: Any) -> list[Any]:
    """What says of tables and indices that none was made again or changed, and of rows that none was written."""
    files_of = "SELECT oid, relname, relfilenode FROM pg_class WHERE relnamespace = 'hetero_gallery'::regnamespace"
    rows = "SELECT ctid, xmin, * FROM vectors ORDER BY item"
    return [connection.execute(statement).fetchall() for statement in (f"{files_of} ORDER BY oid", rows)]


def test_a_change_of_the_functions_is_a_version_of_its_own() -> None:
    text = (files("hetero.gallery.postgres") / "functions.sql").read_bytes()
    from hetero.gallery.postgres.schema import FUNCTIONS

    # After a change of functions.sql raise FUNCTIONS, so that galleries get it, and then write both here.
    assert (FUNCTIONS, hashlib.sha256(text).hexdigest()[:16]) == (1, "11ca1698e2f78953")


@pytest.mark.parametrize("earlier", [EARLIER, SAME_SIGNATURE])
def test_the_owner_renews_them_and_clients_wait_for_that(superuser: str, connection: Any, earlier: str) -> None:
    new = functions(connection)
    connection.execute(earlier)
    before = tables(connection)
    for role in ("phone", "reader", "keeper"):
        with pytest.raises(InputError, match="open it once as its owner, keeper, and not read-only"):
            open_gallery(as_role(role, superuser), read_only=True)
    with pytest.raises(InputError, match=r"version 0, expected \d+"):
        open_gallery(as_role("phone", superuser), V1)
    with open_gallery(as_role("keeper", superuser)) as store:
        assert store.search(vectors(5)[3:4], 1, V1, where={"row": "3"}).ids == [["item 3"]]
    assert tables(connection) == before
    with open_gallery(as_role("phone", superuser), read_only=True) as store:
        assert store.search(vectors(5)[3:4], 5, V1, where={"row": ["3", "4"]}).ids == [["item 3", "item 4"]]
    renewed = functions(connection)
    assert {name: one[1:] for name, one in renewed.items()} == {name: one[1:] for name, one in new.items()}
    assert {name for name, one in renewed.items() if one[2]} == {"search", "served"}
    assert {one[1] for one in renewed.values()} == {"keeper"} and not any(one[3] for one in renewed.values())


def test_what_can_be_replaced_keeps_what_is_made_of_it(superuser: str, connection: Any) -> None:
    connection.execute("GRANT EXECUTE ON FUNCTION search TO reader")
    connection.execute("CREATE SCHEMA mine; CREATE VIEW mine.own AS SELECT * FROM served()")
    before = functions(connection)
    connection.execute(SAME_SIGNATURE)
    open_gallery(as_role("keeper", superuser)).close()
    assert functions(connection) == before
    allowed = "SELECT has_function_privilege('reader', oid, 'EXECUTE') FROM pg_proc WHERE proname = 'search'"
    assert connection.execute(f"{allowed} AND pronamespace = 'hetero_gallery'::regnamespace").fetchone() == (True,)
    assert connection.execute("SELECT count(*) FROM mine.own").fetchone() == (1,)


def test_what_cannot_be_replaced_is_not_taken_from_what_is_made_of_it(superuser: str, connection: Any) -> None:
    connection.execute(EARLIER)
    connection.execute("CREATE SCHEMA mine; CREATE VIEW mine.own AS SELECT served()")
    before = functions(connection)
    with pytest.raises(InputError, match=r"(?s)cannot be renewed while something else is made of them.*view mine.own"):
        open_gallery(as_role("keeper", superuser))
    assert functions(connection) == before
    connection.execute("DROP VIEW mine.own")
    open_gallery(as_role("keeper", superuser)).close()


def test_a_superuser_renews_them_as_the_owner_would(superuser: str, connection: Any) -> None:
    connection.execute(EARLIER)
    open_gallery(superuser).close()
    assert {one[1] for one in functions(connection).values()} == {"keeper"}


def test_those_of_a_later_version_stay(superuser: str, connection: Any) -> None:
    connection.execute(SAME_SIGNATURE)
    connection.execute("COMMENT ON FUNCTION search IS 'version 999'")
    for role in ("keeper", "phone"):
        with open_gallery(as_role(role, superuser)) as store:
            assert store.search(vectors(5)[3:4], 1, V1, where={"row": "3"}).ids == [[]]


def test_several_owners_at_once_renew_them_once(superuser: str, connection: Any) -> None:
    connection.execute(EARLIER)
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(open_gallery, [as_role("keeper", superuser)] * 4))
    for store in stores:
        assert store.search(vectors(5)[3:4], 1, V1).ids == [["item 3"]]
        store.close()


def test_who_may_read_the_tables_reads_all_back_and_clients_do_not(superuser: str, connection: Any) -> None:
    refusal = pytest.raises(InputError, match="the user phone of the database .* may search the gallery and not read")
    with open_gallery(as_role("phone", superuser), read_only=True) as store, refusal:
        store.pages()
    connection.execute("GRANT USAGE ON SCHEMA hetero_gallery TO reader")
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA hetero_gallery TO reader")
    with open_gallery(as_role("reader", superuser), read_only=True) as store:
        assert [name for page in store.pages() for name in page.ids] == names(5)
