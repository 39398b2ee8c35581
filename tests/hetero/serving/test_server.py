"""The socket on which the service listens."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from hetero.serving.server import listening
from hetero.serving.tokens import Tokens


def test_answers_do_not_wait_for_their_first_packet_to_be_acknowledged() -> None:
    """asyncio turns Nagle's algorithm off only for sockets that name their protocol."""

    async def accepted(server: socket.socket) -> int:
        options = asyncio.Queue[int]()

        def take(_reader: Any, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            options.put_nowait(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(take, sock=server):
            _, writer = await asyncio.open_connection(*server.getsockname()[:2])
            option = await asyncio.wait_for(options.get(), 10)
            writer.close()
        return option

    assert asyncio.run(accepted(listening("127.0.0.1", 0, Tokens.load(None, "")))) == 1
