"""Searches by photo: by requests, and on the page in headless Chromium, which skips where there is none."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from hetero.data.decoding.decode import decode
from hetero.gallery.opening import open_gallery
from hetero.models.embed import embed_images
from tests.hetero.gallery.places import embedded
from tests.hetero.linear import domains
from tests.hetero.serving.running import Answer, Running, serving
from tests.hetero.serving.tab import WIDTH, Tab, phone

pytest.importorskip("uvicorn", reason="needs the extra serve")

# What a person sees once the answer is there: what the page says, hits with the widths of their photos, the page's own.
SEEN = """(async () => {
  const status = document.querySelector('[role=status]');
  while (!status.textContent || status.textContent === 'searching') await new Promise((go) => setTimeout(go, 50));
  const hits = [...document.querySelectorAll('li')].map((one) => {
    const image = one.querySelector('img');
    return [one.textContent, image ? image.naturalWidth : 0];
  });
  return [status.textContent, hits, document.documentElement.scrollWidth];
})()"""


def searched(tab: Tab, service: Running, photo: Path, token: str) -> tuple[str, list[list[Any]]]:
    """Open the page, ask for three hits as a person does, and return what the page says and shows."""
    tab.open(f"http://127.0.0.1:{service.port}/")
    tab.type("[name=token]", token)
    tab.choose("[name=photo]", photo)
    tab.type("[name=k]", "3")
    tab.run("document.querySelector('button').click()")
    status, hits, width = tab.run(SEEN)
    assert width == WIDTH, "it needs to be scrolled sideways"
    return status, hits


@dataclass(frozen=True)
class Shop:
    """A gallery of photos, served with its model.

    Attributes:
        service: The service.
        chosen: A photo of the gallery, as a file.
        expected: What it finds, of which the third has no photo any more.
        space_id: The space.
    """

    service: Running
    chosen: bytes
    expected: list[str]
    space_id: str


READ, WRITE = "r" * 20, "w" * 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    model, photos = domains.model(folder / "model"), folder / "photos"
    # A name as long as names of files are, and without a place to break it.
    domains.write_all(domains.domain("one"), photos / ("long" * 20))
    files = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))[:6]
    rows = embed_images(model, np.stack([decode(photos / name, domains.SHAPE) for name in files]))
    assert model.space is not None
    with open_gallery(embedded(folder), model.space) as store:
        store.add(rows, files, model.space)
        expected = store.search(rows[2:3], 3, model.space).ids[0]
    chosen = (photos / files[2]).read_bytes()
    (photos / expected[2]).unlink()
    arguments = (embedded(folder), "--model", str(folder / "model"), "--photos", str(photos))
    with serving(*arguments, HETERO_SERVE_TOKENS=f"read {READ}\nwrite {WRITE}") as service:
        yield Shop(service, chosen, expected, model.space.space_id)


@pytest.mark.slow
def test_a_photo_finds_itself_and_shows_the_hits(shop: Shop, tmp_path: Path) -> None:
    chosen, other = tmp_path / "chosen.png", tmp_path / "other.png"
    chosen.write_bytes(shop.chosen)
    other.write_bytes(b"no picture")
    with phone(tmp_path / "profile") as tab:
        status, hits = searched(tab, shop.service, chosen, READ)
        assert status == "3 items"
        assert [text.rpartition(" ")[0] for text, _ in hits] == shop.expected
        assert [width > 0 for _, width in hits] == [True, True, False]
        status, hits = searched(tab, shop.service, chosen, "x" * 20)
        assert "expected the header 'Authorization: Bearer TOKEN'" in status and hits == []
        status, hits = searched(tab, shop.service, other, READ)
        assert "cannot identify image file" in status and hits == []
        # The server's refusals: of the third hit's photo, the wrong token and what is no picture.
        assert [source for source, _ in tab.errors] == ["network"] * 3
        assert [re.findall(r"\d+", text) for _, text in tab.errors] == [["404"], ["401"], ["400"]]
        # So that it can fail at all.
        tab.run("document.querySelector('h1').textContent = 'x'.repeat(99)")
        assert tab.run(SEEN)[2] > WIDTH
        tab.run("document.body.append(Object.assign(new Image(), {src: 'data:,'}))")
        tab.run("new Promise((go) => setTimeout(go, 50))")
        assert "Content Security Policy" in tab.errors[-1][1]


@pytest.mark.slow
def test_photos_are_taken_in_place_of_vectors(shop: Shop) -> None:
    def send(path: str, token: str = READ, photo: bytes = shop.chosen) -> Answer:
        return shop.service.ask(path, photo, "image/png", Authorization=f"Bearer {token}")

    answer = send("/search?k=3")
    assert (answer.json["ids"], answer.json["space"]) == ([shop.expected], shop.space_id)
    assert send(f"/search?k=3&space={shop.space_id}").json == answer.json
    refused = send("/search?space=other")
    assert refused.status == 409 and refused.json["asked"] == {"space_id": "other"}
    assert "k: expected" in send("/search?k=0").json["error"]
    assert "kk: unknown key" in send("/search?kk=1").json["error"]
    assert "more pixels than the limit" in send("/search", photo=bomb()).json["error"]
    where = quote('{"colour": "red"}')
    assert send(f"/add?id=new&tenant=t&attributes={where}").status == 403
    assert send(f"/add?id=new&tenant=t&attributes={where}", WRITE).json == {"added": 1}
    assert send(f"/search?tenant=t&where={where}").json["ids"] == [["new"]]
    assert "not valid JSON" in send("/search?where=red").json["error"]


def bomb() -> bytes:
    """A small PNG file that says it has more pixels than are decoded."""
    size = struct.pack(">II", 60_000, 60_000) + bytes([8, 2, 0, 0, 0])
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
