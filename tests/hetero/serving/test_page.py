"""The page that searches by photo, in headless Chromium. Skips, with the reason, where there is none."""

from __future__ import annotations

import http.client
import http.server
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.targets.browser.setup import browser
from hetero.data.decoding.decode import decode
from hetero.errors import InputError
from hetero.gallery.opening import open_gallery
from hetero.models.embed import embed_images
from tests.hetero.gallery.places import embedded
from tests.hetero.linear import domains
from tests.hetero.serving.running import Running, serving

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


@pytest.mark.slow
def test_a_photo_finds_itself_and_shows_the_hits(tmp_path: Path) -> None:
    try:
        browser()
    except InputError as error:
        pytest.skip(str(error))
    model, photos = domains.model(tmp_path / "model"), tmp_path / "photos"
    domains.write_all(domains.domain("one"), photos)
    files = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))[:6]
    pixels = np.stack([decode(photos / name, domains.SHAPE) for name in files])
    assert model.space is not None
    with open_gallery(embedded(tmp_path), model.space) as store:
        rows = embed_images(model, pixels)
        store.add(rows, files, model.space)
        expected = store.search(rows[2:3], 3, model.space).ids[0]
    (photos / expected[2]).unlink()
    chosen, token = (photos / files[2]).read_bytes(), "r" * 20
    arguments = (embedded(tmp_path), "--model", str(tmp_path / "model"), "--photos", str(photos))
    with serving(*arguments, HETERO_SERVE_TOKENS=f"read {token}") as service:
        status, hits = seen_by_a_person(service, chosen, token, tmp_path / "profile")
        assert status == "3 items"
        assert [text.rpartition(" ")[0] for text, _ in hits] == expected
        assert [width > 0 for _, width in hits] == [True, True, False]
        status, hits = seen_by_a_person(service, chosen, "w" * 20, tmp_path / "profile")
        assert "expected the header 'Authorization: Bearer TOKEN'" in status and hits == []
        status, hits = seen_by_a_person(service, b"no picture", token, tmp_path / "profile")
        assert "cannot identify image file" in status and hits == []
        # The same without a page: a photo and its options.
        bearer = {"Authorization": f"Bearer {token}"}
        answer = service.ask("/search?k=3", chosen, "image/png", **bearer)
        assert answer.json["ids"] == [expected] and answer.json["space"] == model.space.space_id
        refused = service.ask("/search?space=other", chosen, "image/png", **bearer)
        assert refused.status == 409 and refused.json["asked"] == {"space_id": "other"}
        assert "k: expected" in service.ask("/search?k=0", chosen, "image/png", **bearer).json["error"]
