"""Addresses of gallery stores: wrong ones are refused whole, and nothing that is secret is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetero.cli.ending import BAD_INPUT, ending
from hetero.errors import InputError
from hetero.gallery.opening import open_gallery, without_password
from tests.hetero.gallery.places import V1, names, vectors


@pytest.mark.parametrize("options", ["precision", "int8", "precision=", "precision=int8&precision=float16", "a=b&"])
def test_options_that_say_nothing_are_refused(tmp_path: Path, options: str) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    with pytest.raises(InputError, match="expected options as NAME=VALUE, each once"):
        open_gallery(f"usearch:{tmp_path / 'gallery'}?{options}", V1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me@host/shop", "postgresql://me@host/shop"),
        ("postgresql://me:secr:et@host:5432/shop", "postgresql://me:***@host:5432/shop"),
        ("postgresql://host/shop?user=me&password=secret", "postgresql://host/shop?user=me&password=***"),
        ("qdrant:https://me:secret@host:6333", "qdrant:https://me:***@host:6333"),
        ("usearch:/srv/a:b@c", "usearch:/srv/a:b@c"),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_an_unknown_address_is_refused_without_its_password() -> None:
    with pytest.raises(InputError, match="got 'postgres://me:\\*\\*\\*@host/shop'"):
        open_gallery("postgres://me:secret@host/shop", V1)


@pytest.mark.parametrize(("scheme", "package"), [("lance", "lancedb"), ("qdrant", "qdrant_client")])
def test_a_wrong_place_is_refused_and_left_as_it_is(tmp_path: Path, scheme: str, package: str) -> None:
    pytest.importorskip(package)
    for space, read_only in ((None, False), (V1, True)):
        with pytest.raises(InputError, match="found none; give a space to make one"):
            open_gallery(f"{scheme}:{tmp_path / 'typo'}", space, read_only=read_only)
    assert not any(tmp_path.iterdir())


def test_a_gallery_in_qdrant_leaves_another_whose_name_begins_alike(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    short, long = (f"qdrant:{tmp_path / 'galleries'}?name={name}" for name in ("shop", "shop-2"))
    for address in (long, short):
        with open_gallery(address, V1) as store:
            store.add(vectors(3), names(3), V1)
            store.remove(["item 2"])
    with open_gallery(long) as store:
        assert sorted(store.search(vectors(1), 3, V1).ids[0]) == ["item 0", "item 1"]


@pytest.mark.parametrize("name", ["..%2Fshop", "a/b", "../../shop", "-"])
def test_a_name_in_qdrant_is_no_path(tmp_path: Path, name: str) -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    with pytest.raises(InputError, match="expected the option name=NAME"):
        open_gallery(f"qdrant:{tmp_path / 'galleries'}?name={name}", V1)
    assert not any(tmp_path.iterdir())


def test_a_qdrant_server_that_does_not_answer_is_named() -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    with pytest.raises(InputError, match="no Qdrant server answers at qdrant:http://127.0.0.1:1"):
        open_gallery("qdrant:http://127.0.0.1:1", V1)


@pytest.mark.parametrize(
    ("module", "name"),
    [("psycopg.errors", "AdminShutdown"), ("qdrant_client.http.exceptions", "ResponseHandlingException")],
)
def test_a_server_that_goes_away_is_no_fault_of_ours(module: str, name: str) -> None:
    error = getattr(pytest.importorskip(module), name)(ValueError("gone"))
    assert ending(error) == (BAD_INPUT, "gone")
