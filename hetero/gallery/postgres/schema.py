"""The schema ``hetero_gallery``: tables, which are made once, and functions, which are brought up to date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from psycopg import Connection, Cursor, errors, sql

from hetero.errors import InputError
from hetero.files import canonical_json
from hetero.gallery.engine import CONNECTIVITY, EXPANSION
from hetero.gallery.opening import Address
from hetero.space import EmbeddingSpace

FUNCTIONS = 1
"""Version of ``functions.sql``, which the comment on the function ``search`` records; galleries without one have 0."""
LARGEST_DIMENSION = 4000
"""pgvector's own limit, of an index over float16 vectors."""

Session = Connection[Any] | Cursor[Any]


@dataclass(frozen=True)
class _State:
    """What there is.

    Attributes:
        owner: The role that owns the schema.
        may_renew: True if the user is that role or of it.
        functions: Version of the functions.
    """

    owner: str
    may_renew: bool
    functions: int


def prepare(connection: Connection[Any], address: Address, place: str) -> None:
    """Make a gallery where there is none, and renew the functions of one that an earlier version made.

    Tables are left as they are. Functions are renewed where their owner opens the gallery, and not read-only.

    Args:
        connection: The connection, whose names :func:`find_types` has set.
        address: Whether a gallery may be made or changed, and of which space it is made.
        place: The database, in words.

    Raises:
        InputError: When there is no gallery and no space to make one of, or its functions are too old and not renewed.
    """
    state = _state(connection)
    if state is None and not address.may_be_made:
        raise InputError(f"expected a gallery store in {place}, found none; give a space to make one")
    if state is not None:
        if state.functions >= FUNCTIONS:
            return
        if address.read_only or not state.may_renew:
            raise InputError(
                f"an earlier version of hetero made the functions of the gallery in {place} (version "
                f"{state.functions}, expected {FUNCTIONS}): open it once as its owner, {state.owner}, and not "
                "read-only, for instance by `hetero backfill status`; that renews them and leaves all items as they are"
            )
    with connection.transaction(), connection.cursor() as cursor:
        # One process does it, others wait.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('hetero_gallery'))")
        state = _state(cursor)
        if state is None and address.space is not None:
            _make(cursor, address.space)
        elif state is not None and state.functions < FUNCTIONS:
            # Those for clients run as who owns them: never as somebody who may do more than the gallery's owner.
            cursor.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(state.owner)))
            _write_functions(cursor)


def register(cursor: Cursor[Any], space: EmbeddingSpace) -> None:
    """Make room for vectors of a space.

    Raises:
        InputError: When pgvector does not index vectors of so many dimensions.
    """
    if space.dimension > LARGEST_DIMENSION:
        raise InputError(
            f"PostgreSQL indexes vectors of at most {LARGEST_DIMENSION} dimensions, those of {space.name} "
            f"{space.version} have {space.dimension}; take another store, or a prefix of the space"
        )
    # One that is there is told by xmax; the record of the space served stays as it is.
    row = cursor.execute(
        "INSERT INTO spaces (space_id, dimension, record) VALUES (%s, %s, %s) ON CONFLICT (space_id) DO UPDATE "
        "SET record = excluded.record WHERE NOT EXISTS (SELECT FROM serving WHERE serving.space_id = spaces.space_id) "
        "RETURNING number, xmax = 0 AS is_new",
        [space.space_id, space.dimension, canonical_json(space.to_dict())],
    ).fetchone()
    if row is not None and row[1]:
        table, size = sql.Identifier("hetero_gallery", f"vectors_{row[0]}"), sql.Literal(space.dimension)
        own, graph = sql.Literal(space.space_id), {"m": sql.Literal(CONNECTIVITY), "expansion": sql.Literal(EXPANSION)}
        text = sql.SQL(_text("partition.sql"))
        cursor.execute(text.format(table=table, space_id=own, dimension=size, **graph))


def find_types(session: Session) -> sql.Identifier:
    """Look for names in the gallery and where pgvector is; return the schema of the latter."""
    row = session.execute(
        "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'"
    ).fetchone()
    extension = sql.Identifier("public" if row is None else row[0])
    session.execute(sql.SQL("SET search_path = hetero_gallery, {}").format(extension))
    return extension


def _state(session: Session) -> _State | None:
    """Look up what everybody may see; None where there is no gallery."""
    row = session.execute(
        "SELECT pg_get_userbyid(nspowner), pg_has_role(nspowner, 'MEMBER'), (SELECT coalesce(max(substring("
        "obj_description(pg_proc.oid, 'pg_proc') FROM '^version ([0-9]{1,9})$')::integer), 0) FROM pg_proc "
        "WHERE pronamespace = pg_namespace.oid AND proname = 'search') "
        "FROM pg_namespace WHERE nspname = 'hetero_gallery'"
    ).fetchone()
    return None if row is None else _State(*row)


def _make(cursor: Cursor[Any], space: EmbeddingSpace) -> None:
    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    tables = sql.SQL(_text("tables.sql"))
    cursor.execute(tables.format(extension=find_types(cursor), largest=sql.Literal(LARGEST_DIMENSION)))
    _write_functions(cursor)
    register(cursor, space)
    cursor.execute("INSERT INTO serving (space_id) VALUES (%s)", [space.space_id])


def _write_functions(cursor: Cursor[Any]) -> None:
    text = _text("functions.sql")
    script = sql.SQL(text).format(extension=find_types(cursor), version=sql.Literal(f"version {FUNCTIONS}"))
    try:
        with cursor.connection.transaction():
            cursor.execute(script)
    except (errors.InvalidFunctionDefinition, errors.AmbiguousFunction):
        # Results, and numbers, types and names of arguments are not replaced in place.
        _drop(cursor, re.findall(r"^CREATE OR REPLACE FUNCTION (\w+)", text, re.MULTILINE))
        cursor.execute(script)


def _drop(cursor: Cursor[Any], names: list[str]) -> None:
    """Delete all functions of some names, whatever their arguments."""
    row: Any = cursor.execute(
        "SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc "
        "WHERE pronamespace = 'hetero_gallery'::regnamespace AND proname = ANY(%s)",
        [names],
    ).fetchone()
    try:
        cursor.execute(sql.SQL("DROP ROUTINE {}").format(sql.SQL(row[0])))
    except errors.DependentObjectsStillExist as error:
        raise InputError(
            "the gallery's functions cannot be renewed while something else is made of them: delete that, open the "
            f"gallery, and make it again ({error})"
        ) from None


def _text(name: str) -> Any:
    return (files("hetero.gallery.postgres") / name).read_text(encoding="utf-8")
