"""``hetero serve``."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts.types import Port, PositiveFloat, PositiveInt

from hetero import own_code
from hetero.display.text import say
from hetero.errors import InputError
from hetero.flags import AllowCode
from hetero.gallery.opening import without_password
from hetero.processes.children import ended_in_order

if TYPE_CHECKING:
    from hetero.models.external.embedders import ImageEmbedder


def serve_command(
    gallery: str = "",
    *,
    local: Path | None = None,
    space: Path | None = None,
    model: str = "",
    photos: Path | None = None,
    read_only: bool = False,
    host: str = "127.0.0.1",
    port: Port = 8765,
    tokens: Path | None = None,
    at_once: PositiveInt | None = None,
    waiting: PositiveInt = 256,
    connections: PositiveInt = 256,
    patience: PositiveFloat = 20.0,
    check: bool = False,
    allow_code: AllowCode = False,
) -> int:
    """Serve a gallery over HTTP: search, add, remove, metrics, and a page that searches by photo.

    Every request names its space, and another space than the gallery's is refused. Ends with SIGTERM or Ctrl-C, after
    the requests that have begun are answered.

    Example: hetero serve usearch:gallery --model runs/demo/cloud --photos photos

    Example: hetero serve --local shop --space runs/demo/cloud/space.json

    Args:
        gallery: The gallery's address, for instance usearch:DIRECTORY or postgresql://USER@HOST/DATABASE.
        local: In place of an address: folder of a PostgreSQL server that is started, and ended, with the service.
        space: A space.json, or a folder with one: where there is no gallery, a new one of this space is made.
        model: A model that embeds photos, as `hetero embed` takes it; without one, requests hold vectors.
        photos: Folder with the items' photos, each in a file named by the item's id; the page shows them.
        read_only: Refuse to add and to remove.
        host: Address to serve on; one that others can reach needs tokens.
        port: Port to serve on; 0 for any that is free.
        tokens: File of bearer tokens, one a line after 'read' or 'write'; default the variable HETERO_SERVE_TOKENS.
        at_once: Calls of the gallery at once; default two a core for a database, one for a gallery in files.
        waiting: Most requests that wait for the gallery; another one is refused.
        connections: Most open connections; another one is refused.
        patience: Seconds in which a request must have arrived whole, and an answer must be taken.
        check: Open everything as for the service, then end without serving.
        allow_code: Run the code that a model names.
    """
    if bool(gallery) == (local is not None):
        raise InputError("expected the address of a gallery or --local FOLDER, one of the two")
    if allow_code:
        own_code.allow_code()
    try:
        from hetero.serving import running
        from hetero.serving.server import listening, url_of
    except ImportError as error:
        raise InputError(
            f"hetero serve needs a package ({error}); install the extra: pip install 'hetero[serve]'"
        ) from None
    from hetero.serving.limits import Limits
    from hetero.serving.photos import PhotoEmbedder, PhotoFolder
    from hetero.serving.tokens import VARIABLE, Tokens

    rights = Tokens.load(tokens, os.environ.get(VARIABLE, ""))
    limits = Limits(waiting, connections, patience)
    folder = PhotoFolder(photos) if photos else None
    with ExitStack() as stack:
        stack.enter_context(ended_in_order())
        server = stack.enter_context(listening(host, port, rights))
        embedder = PhotoEmbedder(_model(model), waiting=waiting) if model else None
        if local is not None:
            from hetero.serving.postgres import postgres_server

            gallery = stack.enter_context(postgres_server(local))
        stores = stack.enter_context(running.opened(gallery, at_once=at_once, space=space, read_only=read_only))
        if check:
            say(f"ready to serve {local or without_password(gallery)}")
            return 0

        def started() -> None:
            say(f"serving {local or without_password(gallery)} at {url_of(server)}")
            sys.stdout.flush()

        asyncio.run(
            running.answer(
                stores,
                server,
                limits,
                rights,
                embedder=embedder,
                photos=folder,
                writable=not read_only,
                started=started,
            )
        )
    return 0


def _model(name: str) -> ImageEmbedder:
    from hetero.pipeline.embedding.model import open_model
    from hetero.pipeline.quick.cloud_table import Takes

    return open_model(name, Takes(None, None, None, None, option="--")).embedder
