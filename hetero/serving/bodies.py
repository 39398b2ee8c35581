"""Bodies of requests: read as they come, and no further than there is room."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.requests import Request

from hetero.serving.limits import LARGEST_BODIES, LARGEST_BODY
from hetero.serving.line import BusyError


class TooLargeError(Exception):
    """A body of more bytes than a request may have."""


class Bodies:
    """The bodies that a service holds.

    Attributes:
        held: Their bytes.
    """

    def __init__(self) -> None:
        self.held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncGenerator[bytes]:
        """Yield the body of a request, which counts as held during the block.

        Raises:
            TooLargeError: When it is too large; no more of it is kept.
            BusyError: When all bodies together are.
            ClientDisconnect: When the client went away, or was cut off.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > LARGEST_BODY:
            raise TooLargeError
        size, parts = 0, list[bytes]()
        try:
            async for part in request.stream():
                size += len(part)
                self.held += len(part)
                if size > LARGEST_BODY:
                    raise TooLargeError
                if self.held > LARGEST_BODIES:
                    raise BusyError
                parts.append(part)
            yield b"".join(parts)
        finally:
            self.held -= size
