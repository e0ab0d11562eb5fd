"""TCP: a connection, and what is said on it."""

from __future__ import annotations

from gslb.health.checks.connection import Connection
from gslb.health.target import Result
from gslb.snapshot.checks import TcpAsk

__all__ = ["LIMIT_BYTES", "ask_tcp"]

LIMIT_BYTES = 16_384
"""What is read to find the expected text."""


async def ask_tcp(subject: str, ask: TcpAsk, connection: Connection) -> Result:
    """Healthy when it connects and, where a text is expected, says it."""
    async with connection.open(ask.host, ask.port) as (reader, writer):
        if ask.send is not None:
            writer.write(ask.send.encode())
            await writer.drain()
        if ask.expect is None:
            return Result(ok=True, reason=f"{subject}: connected")
        expected, seen = ask.expect.encode(), b""
        while expected not in seen:
            piece = await reader.read(LIMIT_BYTES - len(seen))
            if not piece:
                where = f"in {len(seen)} octets" if seen else "and nothing came"
                return Result(ok=False, reason=f"{subject}: without {ask.expect[:80]!r} {where}")
            seen += piece
        return Result(ok=True, reason=f"{subject}: connected, said what is expected")
