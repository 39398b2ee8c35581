"""A server on loopback that serves the page with one job, and receives its results."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

_TYPES = {".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
_LARGEST = 1 << 30
ANSWERS = ("progress", "embeddings", "pixels", "pixel_embeddings", "report", "failed")
"""The names under which a page may post."""


class JobServer:
    """A server below an unguessable address.

    Args:
        page: Folder of the page.
        packages: Folder of the npm packages.
        served: Further responses, by name.
        heard: Called with name and content of everything that the page posts.
    """

    def __init__(
        self, page: Path, packages: Path, served: Mapping[str, bytes | Path], heard: Callable[[str, bytes], None]
    ) -> None:
        self._token = secrets.token_urlsafe(16)
        token = self._token

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Send a file of the page, of a package, or of the job."""
                file = _find(self.path, token, page, packages, served)
                if file is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                content, kind = file
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                """Receive an answer."""
                prefix, _, name = self.path.strip("/").partition("/")
                size = int(self.headers.get("Content-Length", "0"))
                if prefix != token or name not in ANSWERS or size > _LARGEST:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                heard(name, self.rfile.read(size))
                self.send_response(HTTPStatus.NO_CONTENT)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._token}/page.html"

    def __enter__(self) -> JobServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _find(
    path: str, token: str, page: Path, packages: Path, served: Mapping[str, bytes | Path]
) -> tuple[bytes, str] | None:
    prefix, _, name = path.split("?", maxsplit=1)[0].strip("/").partition("/")
    if prefix != token:
        return None
    if name in served:
        content = served[name]
        kind = _TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
        return (content.read_bytes() if isinstance(content, Path) else content), kind
    inside, below = (packages, name.removeprefix("npm/")) if name.startswith("npm/") else (page, name)
    file = (inside / below).resolve()
    if not file.is_relative_to(inside.resolve()) or not file.is_file() or file.suffix not in _TYPES:
        return None
    return file.read_bytes(), _TYPES[file.suffix]
