"""A connection of a check, which ends with it and remembers whether it ever stood."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Connection"]

_BUFFER_BYTES = 65_536


class Connection:
    """`connected` tells, once it failed, whether anybody had answered."""

    def __init__(self) -> None:
        self.connected = False

    def stands(self) -> None:
        self.connected = True

    @asynccontextmanager
    async def open(
        self, host: str, port: int, context: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Streams to `host`, over TLS with a `context`. What is left of it is thrown away at the end. Raises OSError
        and ssl.SSLError."""
        name = (server_name or host) if context else None
        reader, writer = await asyncio.open_connection(
            host, port, limit=_BUFFER_BYTES, ssl=context, server_hostname=name
        )
        self.connected = True
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
