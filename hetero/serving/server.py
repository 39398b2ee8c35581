"""The server: a socket, and uvicorn until it is told to end."""

from __future__ import annotations

import functools
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from hetero.errors import InputError
from hetero.serving.limits import Limits
from hetero.serving.protocol import BoundedProtocol
from hetero.serving.tokens import VARIABLE, Tokens

_BACKLOG = 128
_IDLE = 30
"""Seconds that a connection may be idle between two requests."""


def listening(host: str, port: int, tokens: Tokens) -> socket.socket:
    """Return a socket for an address; nobody can connect before the server listens.

    Args:
        host: Name or number; anything but this machine's loopback needs tokens.
        port: The port; 0 for any that is free.
        tokens: Who may do what.

    Raises:
        InputError: For an address of a network without tokens, or one that this machine does not have.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise InputError(f"--host {host!a}: expected an address of this machine, got: {error.strerror}") from None
    if not tokens.rights and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise InputError(
            f"--host {host}: others can reach this address, and without tokens everybody may search and change the "
            f"gallery; give --tokens FILE or the variable {VARIABLE}, or serve on 127.0.0.1"
        )
    # With its protocol named, asyncio sends an answer's last packet without waiting for the first to be acknowledged.
    server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
    except OSError as error:
        server.close()
        raise InputError(f"cannot serve on {host}, port {port}: {error.strerror}; choose another --port") from None
    return server


def url_of(server: socket.socket) -> str:
    """Return the address of a socket as a browser takes it."""
    host, port = server.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run(app: Any, server: socket.socket, limits: Limits, started: Callable[[], None]) -> None:
    """Serve until a signal to end; requests that have begun are answered first.

    Args:
        app: The ASGI application.
        server: See :func:`listening`; closed in the end.
        limits: What the service bears.
        started: Called when clients can connect.
    """
    config = uvicorn.Config(
        app,
        http=functools.partial(BoundedProtocol, connections=limits.connections, patience=limits.patience),  # pyright: ignore[reportArgumentType]
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=max(1, round(2 * limits.patience)),
    )
    with _ended_by_signals():
        await _Server(config, started).serve(sockets=[server])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Let a signal that the server has obeyed, and raises once more in the end, do nothing further."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
