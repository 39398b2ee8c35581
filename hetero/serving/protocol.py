"""HTTP over connections of which there are so many, and which do not wait for slow clients for long."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def _answer(status: str, sentence: str, *headers: str) -> bytes:
    body = f'{{"error":"{sentence}"}}'
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "connection: close", "", body]).encode()


_FULL = _answer("503 Service Unavailable", "too many connections; try again", "retry-after: 1")
_LATE = _answer("408 Request Timeout", "the request did not arrive in time")
_LONG = _answer("431 Request Header Fields Too Large", "the request's headers are too long")
LARGEST_HEAD = 1 << 16
"""Most bytes of a request's headers, as far as they come in several parts."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection.

    Args:
        connections: Most connections at once; another one is refused.
        patience: Seconds in which a request must have arrived whole, and an answer must be taken.
        **rest: What uvicorn gives.
    """

    def __init__(self, *, connections: int, patience: float, **rest: Any) -> None:
        super().__init__(**rest)
        self._most, self._patience = connections, patience
        self._arrival: asyncio.TimerHandle | None = None
        self._delivery: asyncio.TimerHandle | None = None
        self._in_head, self._head = False, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.write(_FULL)
            self._end()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head else 0
        if self._head > LARGEST_HEAD:
            self.transport.write(_LONG)
            self._end()
        self._watch()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        super().on_headers_complete()
        self._in_head = False

    def pause_writing(self) -> None:
        """Wait for a client that does not read, but not for long."""
        super().pause_writing()
        self._delivery = self.loop.call_later(self._patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        super().resume_writing()
        if self._delivery is not None:
            self._delivery.cancel()

    def on_response_complete(self) -> None:
        """Let the last bytes of the last answer be taken, but not for long."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        super().connection_lost(exc)
        for timer in (self._arrival, self._delivery):
            if timer is not None:
                timer.cancel()

    def _watch(self) -> None:
        """Limit the time of a request that has not arrived whole."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            if self._arrival is None and not self.transport.is_closing():
                self._arrival = self.loop.call_later(self._patience, self._cut)
        elif self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _cut(self) -> None:
        cycle: Any = self.cycle
        if cycle is None or not cycle.response_started:
            self.transport.write(_LATE)
        self._end()

    def _end(self) -> None:
        """Close the connection when what was written is sent, and in any case soon."""
        self.transport.close()
        self.loop.call_later(self._patience, self.transport.abort)
