"""The service: its endpoints, who may use them, and what it answers when something is wrong."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from hetero.display.pages import templates
from hetero.errors import InputError
from hetero.gallery.away import is_of_a_server
from hetero.gallery.store import Matches
from hetero.serving import asked
from hetero.serving.bodies import Bodies, TooLargeError
from hetero.serving.figures import CONTENT_TYPE, Figures
from hetero.serving.gallery import OtherSpaceError, ServedGallery, sentence
from hetero.serving.limits import LARGEST_BODY
from hetero.serving.line import BusyError
from hetero.serving.photos import PhotoEmbedder, PhotoFolder
from hetero.serving.tokens import Right, Tokens

T = TypeVar("T")
R = TypeVar("R", asked.SearchOptions, asked.AddRequest)
Vectors = NDArray[np.float32]
Answer = Callable[[Request], Awaitable[Response]]
_LOG = logging.getLogger("hetero.serving")
_HERE = Path(__file__).parent
_LONG = 1 << 16
"""Bytes of a body from which it is read in a thread, while others are answered."""
_DECIMALS = 7
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Service:
    """A gallery over HTTP.

    Args:
        gallery: The gallery.
        tokens: Who may do what.
        embedder: Makes vectors of photos; None for none.
        photos: The photos of items; None for none.
        writable: True if items may be added and removed.
    """

    def __init__(
        self,
        gallery: ServedGallery,
        tokens: Tokens,
        *,
        embedder: PhotoEmbedder | None,
        photos: PhotoFolder | None,
        writable: bool,
    ) -> None:
        self._gallery, self._tokens, self._embedder, self._photos = gallery, tokens, embedder, photos
        self._writable = writable
        self._bodies, self.figures = Bodies(), Figures()
        self.figures.watch("hetero_waiting", "Callers that wait for the gallery.", lambda: gallery.line.waiting)
        self.figures.watch("hetero_bodies_bytes", "Bytes of the bodies that are held.", lambda: self._bodies.held)
        self._page = (
            templates("hetero.serving")
            .get_template("page.html.j2")
            .render(has_model=embedder is not None, has_photos=photos is not None, has_tokens=bool(tokens.rights))
        )

    def app(self) -> Starlette:
        """Return the ASGI application."""
        endpoints: list[tuple[str, str, Right | None, Answer]] = [
            ("POST", "/search", "read", self._search),
            ("POST", "/add", "write", self._add),
            ("POST", "/remove", "write", self._remove),
            ("GET", "/space", "read", self._space),
            ("GET", "/photo", "read", self._photo),
            ("GET", "/metrics", "read", self._metrics),
            ("GET", "/health", None, self._health),
            ("GET", "/", None, self._first_page),
            ("GET", "/page.mjs", None, _file("page.mjs", "text/javascript")),
            ("GET", "/page.css", None, _file("page.css", "text/css")),
        ]
        routes = [
            Route(path, self._endpoint(path, right, answer), methods=[way]) for way, path, right, answer in endpoints
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _unknown})

    def _endpoint(self, path: str, right: Right | None, answer: Answer) -> Answer:
        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            response = self._refusal(request, right) or await _answered(request, answer)
            self.figures.count(path, response.status_code, time.perf_counter() - started)
            return response

        return endpoint

    def _refusal(self, request: Request, right: Right | None) -> Response | None:
        # Without tokens a page of any site could reach this machine's services by a name of its own.
        if not self._tokens.rights and _host(request) not in _LOOPBACK:
            return _error(421, "without tokens the service answers as localhost alone")
        if right is None:
            return None
        allowed = self._tokens.allow(request.headers.get("authorization", ""), right)
        if allowed is None:
            return _error(401, "expected the header 'Authorization: Bearer TOKEN'", {"www-authenticate": "Bearer"})
        if not allowed:
            return _error(403, f"this token has no right to {right}")
        if right == "write" and not self._writable:
            return _error(403, "the gallery is served read-only")
        return None

    async def _search(self, request: Request) -> Response:
        async with self._bodies.read(request) as body:
            options, vectors = await self._with_vectors(request, body, asked.read_search, asked.photo_search)
            space_id, matches = await self._gallery.search(options, vectors)
        self.figures.count_queries(len(vectors))
        return JSONResponse({"space": space_id, "ids": matches.ids, "scores": _scores(matches)})

    async def _add(self, request: Request) -> Response:
        async with self._bodies.read(request) as body:
            items, vectors = await self._with_vectors(request, body, asked.read_items, asked.photo_item)
            return JSONResponse({"added": await self._gallery.add(items, vectors)})

    async def _with_vectors(
        self,
        request: Request,
        body: bytes,
        in_json: Callable[[bytes], tuple[R, Vectors]],
        by_photo: Callable[[Mapping[str, str], str], R],
    ) -> tuple[R, Vectors]:
        """Read what is asked with its vectors, or embed the photo that stands for them."""
        if (kind := _content_type(request)) == "application/json":
            return await _read(in_json, body)
        embedder = self._require_photo(kind)
        wanted = by_photo(request.query_params, embedder.space.space_id)
        return wanted, await embedder.vector(body, wanted.space)

    async def _remove(self, request: Request) -> Response:
        if (kind := _content_type(request)) != "application/json":
            raise HTTPException(415, f"expected application/json, got {kind!a}")
        async with self._bodies.read(request) as body:
            return JSONResponse({"removed": await self._gallery.remove(await _read(asked.read_removal, body))})

    async def _space(self, request: Request) -> Response:
        return JSONResponse((await self._gallery.space()).to_dict())

    async def _photo(self, request: Request) -> Response:
        found = self._photos and self._photos.find(request.query_params.get("id", ""))
        if not found:
            return _error(404, "there is no photo of this item")
        headers = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}
        return FileResponse(found[0], media_type=found[1], headers=headers)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.figures.text(), headers={"content-type": CONTENT_TYPE})

    async def _health(self, request: Request) -> Response:
        await self._gallery.space()
        return JSONResponse({"status": "ok"})

    async def _first_page(self, request: Request) -> Response:
        return Response(self._page, media_type="text/html", headers=_PAGE_HEADERS)

    def _require_photo(self, kind: str) -> PhotoEmbedder:
        if not kind.startswith("image/"):
            raise HTTPException(415, f"expected application/json, or a photo as image/..., got {kind[:100]!a}")
        if self._embedder is None:
            raise HTTPException(415, "the service has no model for photos: send vectors, or start it with --model")
        return self._embedder


async def _answered(request: Request, answer: Answer) -> Response:
    """Return an answer, also where there is none."""
    try:
        return await answer(request)
    except OtherSpaceError as error:
        served = error.served
        names = {"space_id": served.space_id, "name": served.name, "version": served.version}
        both = {"served": names, "asked": {"space_id": error.asked}}
        return JSONResponse({"error": sentence(error), **both}, 409)
    except InputError as error:
        return _error(400, sentence(error))
    except HTTPException as error:
        return _error(error.status_code, error.detail)
    except TooLargeError:
        return _error(413, f"expected a body of at most {LARGEST_BODY} bytes")
    except BusyError:
        return _error(503, "too many wait already; try again", {"retry-after": "1"})
    except ClientDisconnect:
        return _error(400, "the client went away")
    except Exception as error:
        if is_of_a_server(error) or isinstance(error, OSError):
            _LOG.warning("the gallery does not answer: %s", error)
            return _error(503, "the gallery does not answer; try again", {"retry-after": "5"})
        _LOG.exception("a request failed")
        return _error(500, "a fault of the service, which its log describes")


async def _read(reader: Callable[[bytes], T], body: bytes) -> T:
    return reader(body) if len(body) < _LONG else await asyncio.to_thread(reader, body)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _host(request: Request) -> str:
    host = request.headers.get("host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()


def _scores(matches: Matches) -> list[list[float]]:
    rows = matches.scores.astype("float64").round(_DECIMALS).tolist()
    return [row[: len(ids)] for row, ids in zip(rows, matches.ids, strict=True)]


def _file(name: str, kind: str) -> Answer:
    content = (_HERE / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind, headers=_PAGE_HEADERS)

    return answer


async def _unknown(request: Request, error: Any) -> Response:
    """Answer for an address or a method that there is not."""
    return _error(error.status_code, error.detail, error.headers)


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)
