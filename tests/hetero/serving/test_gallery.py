"""The space of a request: the gallery's own, one that it answers in meanwhile, or a refusal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from hetero.gallery.checked import CheckedStore
from hetero.gallery.opening import open_gallery
from hetero.gallery.store import Matches
from hetero.serving.asked import SearchOptions
from hetero.serving.gallery import OtherSpaceError, ServedGallery
from hetero.serving.line import Line
from tests.hetero.gallery.places import V1, V2, embedded, in_postgres, names, vectors
from tests.hetero.gallery.test_mixed import NEW


async def searched(store: CheckedStore, rows: np.ndarray, *space_ids: str) -> list[tuple[str, Matches]]:
    async with Line([store], waiting=10) as line:
        gallery = ServedGallery(line)
        return [await gallery.search(SearchOptions(space_id, 3), rows) for space_id in space_ids]


def test_a_compatible_space_is_answered_while_the_gallery_is_filled_again(tmp_path: Path) -> None:
    rows = vectors(2, seed=1)
    with open_gallery(embedded(tmp_path), V1) as store:
        store.add(vectors(20), names(20), V1)
        store.begin(NEW)
        found = asyncio.run(searched(store, rows, V1.space_id, NEW.space_id, V1.space_id))
        assert [space_id for space_id, _ in found] == [V1.space_id, NEW.space_id, V1.space_id]
        for (_, matches), space in zip(found, (V1, NEW, V1), strict=True):
            assert matches.ids == store.search(rows, 3, space).ids


@pytest.mark.parametrize("begun", [True, False])
def test_another_space_is_refused(tmp_path: Path, begun: bool) -> None:
    with open_gallery(embedded(tmp_path), V1) as store:
        store.add(vectors(3), names(3), V1)
        if begun:
            store.begin(V2)
        with pytest.raises(OtherSpaceError, match=f"serves space {V1.space_id}.*{V2.space_id}") as refused:
            asyncio.run(searched(store, vectors(1, space=V2), V2.space_id))
    assert (refused.value.served, refused.value.asked) == (V1, V2.space_id)


def test_a_client_of_a_database_is_served(tmp_path: Path) -> None:
    address = in_postgres(tmp_path)
    import psycopg

    with open_gallery(address, V1) as store:
        store.add(vectors(3), names(3), V1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS phone")
        connection.execute("CREATE ROLE phone LOGIN IN ROLE hetero_gallery_client")
        with open_gallery(address.replace("postgres:@", "phone:@"), read_only=True) as store:
            [(_, matches)] = asyncio.run(searched(store, vectors(1), V1.space_id))
            with pytest.raises(OtherSpaceError):
                asyncio.run(searched(store, vectors(1, space=V2), V2.space_id))
        connection.execute("DROP ROLE phone")
    assert matches.ids[0][0] == "item 0"
