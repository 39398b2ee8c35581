"""A gallery opened, and served until a signal to end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hetero.gallery.checked import CheckedStore
from hetero.gallery.opening import SCHEMES, open_gallery
from hetero.serving.gallery import ServedGallery
from hetero.serving.limits import Limits
from hetero.serving.line import Line
from hetero.serving.photos import PhotoEmbedder, PhotoFolder
from hetero.serving.server import run
from hetero.serving.service import Service
from hetero.serving.tokens import Tokens
from hetero.space import EmbeddingSpace


@contextmanager
def opened(
    address: str, *, at_once: int | None, space: Path | None, read_only: bool
) -> Generator[Sequence[CheckedStore]]:
    """Open a gallery as often as it answers calls at once; closed after the block.

    Args:
        address: The gallery's address.
        at_once: Calls at once; None for two a core of a database, and one of a gallery in this process's memory.
        space: The ``space.json``, or a folder with one, of a gallery that is made where there is none.
        read_only: True to refuse changes.

    Raises:
        InputError: When there is no gallery and no space, or the address is none.
        SpaceMismatchError: When the gallery serves another space.
    """
    if at_once is None:
        scheme = SCHEMES.get(address.partition(":")[0])
        at_once = 1 if scheme is None or scheme.in_process else 2 * (os.cpu_count() or 1)
    made = None if space is None else EmbeddingSpace.load(space / "space.json" if space.is_dir() else space)
    with ExitStack() as stack:
        yield [stack.enter_context(open_gallery(address, made, read_only=read_only)) for _ in range(at_once)]


async def answer(
    stores: Sequence[CheckedStore],
    server: socket.socket,
    limits: Limits,
    tokens: Tokens,
    *,
    embedder: PhotoEmbedder | None,
    photos: PhotoFolder | None,
    writable: bool,
    started: Callable[[], None],
) -> None:
    """Answer until a signal to end.

    Args:
        stores: The gallery, see :func:`opened`.
        server: Where clients connect, see :func:`hetero.serving.server.listening`.
        limits: What the service bears.
        tokens: Who may do what.
        embedder: Makes vectors of photos; None for none.
        photos: The photos of items; None for none.
        writable: True if items may be added and removed.
        started: Called when clients can connect.
    """
    async with Line(stores, waiting=limits.waiting) as line:
        service = Service(ServedGallery(line), tokens, embedder=embedder, photos=photos, writable=writable)
        await run(service.app(), server, limits, started)
