"""Answers whoever connects with a TLS alert (handshake failure, RFC 8446 section 6): a front door with broken TLS.

`python alert.py ADDRESS PORT`.
"""

from __future__ import annotations

import asyncio
import sys

ALERT = bytes.fromhex("15030300020228")


async def main() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(ALERT)
        writer.close()

    server = await asyncio.start_server(answer, sys.argv[1], int(sys.argv[2]), reuse_address=True)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
