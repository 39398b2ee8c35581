"""Searches by photo: by requests, and on the page in headless Chromium, which skips where there is none."""

from __future__ import annotations

import http.client
import http.server
import json
import queue
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from device_tests.targets.browser.setup import browser
from hetero.data.decoding.decode import decode
from hetero.errors import InputError
from hetero.gallery.opening import open_gallery
from hetero.models.embed import embed_images
from tests.hetero.gallery.places import embedded
from tests.hetero.linear import domains
from tests.hetero.serving.running import Answer, Running, serving

pytest.importorskip("uvicorn", reason="needs the extra serve")

# What a person does: to give a token, to choose a file, to press the button, to look.
PERSON = """
const form = document.querySelector('form');
const file = new File([await (await fetch('/chosen')).blob()], 'chosen.png', {type: 'image/png'});
const chosen = new DataTransfer();
chosen.items.add(file);
form.elements.photo.files = chosen.files;
form.elements.token.value = new URLSearchParams(location.search).get('token');
form.elements.k.value = 3;
form.querySelector('button').click();
const status = document.querySelector('[role=status]');
while (!status.textContent || status.textContent === 'searching') await new Promise((go) => setTimeout(go, 50));
const hits = [...document.querySelectorAll('li')].map((one) => {
  const image = one.querySelector('img');
  return [one.textContent, image ? image.naturalWidth : 0];
});
await fetch('/seen', {method: 'POST', body: JSON.stringify([status.textContent, hits])});
"""


@contextmanager
def watched(service: Running, chosen: bytes) -> Iterator[tuple[int, queue.Queue[bytes]]]:
    """The service as a browser sees it, with a script in its page; yields the port and what the script posts."""
    seen: queue.Queue[bytes] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/person.mjs":
                self.reply(200, "text/javascript", PERSON.encode(), {})
            elif self.path == "/chosen":
                self.reply(200, "image/png", chosen, {})
            else:
                self.forward(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/seen":
                seen.put(body)
                self.reply(200, "text/plain", b"", {})
            else:
                self.forward(body)

        def forward(self, body: bytes | None) -> None:
            headers = {name: value for name in ("content-type", "authorization") if (value := self.headers[name])}
            connection = http.client.HTTPConnection("127.0.0.1", service.port)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data, kind = answer.read(), answer.getheader("content-type", "")
            if self.path.startswith("/?"):
                data = data.replace(b"</html>", b'<script type="module" src="/person.mjs"></script></html>')
            policy = answer.getheader("content-security-policy")
            self.reply(answer.status, kind, data, {"content-security-policy": policy} if policy else {})

        def reply(self, status: int, kind: str, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"content-type": kind, "content-length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, seen
        server.shutdown()


def seen_by_a_person(service: Running, chosen: bytes, token: str, folder: Path) -> Any:
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    with watched(service, chosen) as (port, seen):
        command = [browser(), *options, f"http://127.0.0.1:{port}/?token={token}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return json.loads(seen.get(timeout=120))
        finally:
            process.terminate()
            process.wait()


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
    domains.write_all(domains.domain("one"), photos)
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
    try:
        browser()
    except InputError as error:
        pytest.skip(str(error))
    status, hits = seen_by_a_person(shop.service, shop.chosen, READ, tmp_path)
    assert status == "3 items"
    assert [text.rpartition(" ")[0] for text, _ in hits] == shop.expected
    assert [width > 0 for _, width in hits] == [True, True, False]
    status, hits = seen_by_a_person(shop.service, shop.chosen, "x" * 20, tmp_path)
    assert "expected the header 'Authorization: Bearer TOKEN'" in status and hits == []
    status, hits = seen_by_a_person(shop.service, b"no picture", READ, tmp_path)
    assert "cannot identify image file" in status and hits == []


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
