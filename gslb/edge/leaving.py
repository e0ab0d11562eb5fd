"""An Envoy of other settings (the bootstrap of another version, another binary, more threads) serves until the next one
does. Both bind the same addresses (SO_REUSEPORT) for a moment; then the old one takes no new connections, tells those
that are open to go, and ends when none is left, or after a while.

What is on disk says so too: a run that ends meanwhile leaves both, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from gslb.edge.admin import Admin
from gslb.edge.files import Files
from gslb.edge.process import EnvoyProcess, adopt_leaving
from gslb.errors import HostError

__all__ = ["LEAVE_S", "Leaving"]

LEAVE_S = 10.0
"""How long connections have to go. Who asks something is told with the answer; who says nothing is cut off."""
_LOOK_S = 0.25


class Leaving:
    """One Envoy that leaves. `see_off` once the next one serves, or it has ended before; `end`: at once; `leave`: to
    the next run."""

    def __init__(self, process: EnvoyProcess, files: Files) -> None:
        self._process, self._files = process, files
        self._admin = Admin(str(files.leaving_admin))

    @classmethod
    def of(cls, process: EnvoyProcess, files: Files) -> Leaving:
        """Makes room on disk for the next one: of what it has there, the names alone change."""
        with contextlib.suppress(FileNotFoundError):
            Path(files.paths.admin).replace(files.leaving_admin)
        files.process.replace(files.leaving)
        return cls(process, files)

    @classmethod
    def of_earlier_run(cls, files: Files) -> Leaving | None:
        process = adopt_leaving(files)
        return cls(process, files) if process is not None else None

    async def ended(self) -> None:
        """Returns when it has ended by itself, or somebody has ended it."""
        await self._process.wait()

    async def see_off(self) -> None:
        """Returns when it has ended."""
        with contextlib.suppress(HostError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._admin.set_leaving(True)
                await self._admin.stop_listening()
                while await self._admin.open_connections():
                    await asyncio.sleep(_LOOK_S)
        await self.end()

    async def end(self) -> None:
        await self._process.end()
        self._process.close()
        for file in (self._files.leaving, self._files.leaving_admin):
            file.unlink(missing_ok=True)

    def leave(self) -> None:
        self._process.close()
