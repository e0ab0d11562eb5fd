"""One node's endpoint as another process sees it: over its unix socket, or over mTLS where it is on another machine.

Over TLS the caller is who its certificate says, and the node must be who the address says: its SPIFFE id is looked at
before anything is sent. What a node is asked, and what follows from its answer, is the caller's business.
"""

from __future__ import annotations

import contextlib
import json
import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import ValidationError

from gslb import clock
from gslb.control.compared import Compared
from gslb.control.protocol import CALLER, Applied, Offer, Outcomes, PushedStates, Refusal, RoleState, Roster
from gslb.control.telling import joined, later, mark_text
from gslb.snapshot.types import Version
from gslb.trust.signing import Signers
from gslb.trust.tls import IDENTITY_NAME

if TYPE_CHECKING:
    import aiohttp  # a process that asks nobody yet starts without it

__all__ = ["CONTACT_S", "POLL_S", "Address", "NodeClient", "Remote"]

CONTACT_S = 1.0
"""Every node is read this often, whether something changed or not (constant work)."""
STATE_TIMEOUT_S = 1.0
POLL_S = 1.9
"""How long a node may keep back that nothing is new, for who reads it for ever. Nearly two rounds, so that it is asked
in each second one; and an answer that is as late as any may be (STATE_TIMEOUT_S) still comes within `reachable`."""
COMPARISON_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Remote:
    """`url` is `https://HOST:PORT`, `spiffe` the one identity that is believed there. `tls` gives the context to ask
    with, which checks chains and no names; another object than before when the own certificate was renewed."""

    url: str
    spiffe: str
    tls: Callable[[], ssl.SSLContext] = field(repr=False, compare=False)


Address = Path | Remote
"""Where a node is: its unix socket, or its endpoint on another machine."""


class NodeClient:
    """One node, as `caller` sees it: its endpoint, the last state that it told and when, by the clock `now_s`."""

    def __init__(self, name: str, address: Address, caller: str = "control") -> None:
        self.name = name
        self.address = address
        self._headers = {CALLER: caller}
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self.state: RoleState | None = None
        self.now_s: Callable[[], float] = clock.mono_s
        self.heard_mono_s: float | None = None
        self.refused: tuple[Version, tuple[str, ...]] | None = None

    @property
    def silent_s(self) -> float:
        """How long ago it answered, by `now_s`; infinite: never, or it has left a change unanswered."""
        return self.now_s() - self.heard_mono_s if self.heard_mono_s is not None else math.inf

    @property
    def reachable(self) -> bool:
        return self.silent_s < 3 * CONTACT_S

    async def read(self, wait_s: float = 0.0) -> None:
        """Ask for the state, by what has changed of it; a node that does not answer keeps its last one and grows
        old. `wait_s`: the node may wait so long for something to tell."""
        since = mark_text(self.state.mark) if self.state is not None else ""
        wait = f"&wait_ms={1000 * wait_s:.0f}" if wait_s else ""
        try:
            status, body = await self.call("GET", f"/state?since={since}{wait}", None, wait_s + STATE_TIMEOUT_S)
            if status == HTTPStatus.OK:
                self._hear(RoleState.model_validate_json(body).model_copy(update={"name": self.name}))
            elif status == HTTPStatus.NOT_MODIFIED and self.state is not None:
                now_s = self.now_s()
                self.state = later(self.state, now_s - (self.heard_mono_s if self.heard_mono_s is not None else now_s))
                self.heard_mono_s = now_s
        except (OSError, ValidationError):
            return

    def _hear(self, told: RoleState) -> None:
        """Answers may overtake each other: after one that fits nothing known, everything is asked for."""
        state = joined(self.state, told)
        if state is not None:
            self.state, self.heard_mono_s = state, self.now_s()
        elif self.state is not None:
            self.state = self.state.model_copy(update={"mark": None})

    async def in_sync(self) -> bool:
        """Asked of control: does every role have in force what it should?"""
        try:
            status, body = await self.call("GET", "/v1/status", None, STATE_TIMEOUT_S)
            return status == HTTPStatus.OK and all(role["in_sync"] for role in json.loads(body)["roles"].values())
        except (OSError, ValueError):
            return False

    async def offer(self, path: str, offer: Offer | bytes, timeout_s: float) -> Applied | Refusal | None:
        """What the node says to an offer, or to the JSON text of one; None when it cannot be reached (then it counts as
        such from now on)."""
        text = offer if isinstance(offer, bytes) else offer.model_dump_json().encode()
        try:
            status, body = await self.call("POST", path, text, timeout_s)
            return Applied.model_validate_json(body) if status == HTTPStatus.OK else Refusal.model_validate_json(body)
        except (OSError, ValidationError):
            self.heard_mono_s = None
            return None

    async def outcomes(self, app: str) -> Outcomes | None:
        """What became of an app's requests at this edge; None where it does not say."""
        try:
            status, body = await self.call("GET", f"/outcomes/{quote(app, safe='')}", None, STATE_TIMEOUT_S)
            return Outcomes.model_validate_json(body) if status == HTTPStatus.OK else None
        except (OSError, ValidationError):
            return None

    async def hand(self, roster: Roster) -> None:
        """Give the node another roster. What came of it shows in its state."""
        with contextlib.suppress(OSError):
            await self.call("PUT", "/roster", roster.model_dump_json(), STATE_TIMEOUT_S)

    async def hand_signers(self, signers: Signers) -> None:
        """Tell the node whose signatures are believed. What came of it shows in its state."""
        with contextlib.suppress(OSError):
            await self.call("PUT", "/signers", signers.model_dump_json(), STATE_TIMEOUT_S)

    async def hand_pushed(self, states: PushedStates) -> bool:
        """Tell the node what was pushed; whether it has taken it."""
        try:
            status, _ = await self.call("PUT", "/pushed", states.model_dump_json(), STATE_TIMEOUT_S)
        except OSError:
            return False
        return status == HTTPStatus.NO_CONTENT

    async def comparison(self, app: str, route: str) -> Compared | None:
        """What the edge's comparer tells of a route; None where nothing is known of it."""
        try:
            path = f"/comparisons/{quote(app, safe='')}/{quote(route, safe='')}"
            status, body = await self.call("GET", path, None, COMPARISON_TIMEOUT_S)
            return Compared.model_validate_json(body) if status == HTTPStatus.OK else None
        except (OSError, ValidationError):
            return None

    async def call(self, method: str, path: str, body: str | bytes | None, timeout_s: float) -> tuple[int, bytes]:
        """Status and body of any answer. Raises OSError, such as TimeoutError, where there is none, and where somebody
        else than the node answers at its address."""
        import aiohttp

        session = await self._session_now()
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        remote = self.address if isinstance(self.address, Remote) else None
        url = f"{remote.url if remote else 'http://node'}{path}"
        given: dict[str, Any] = {"ssl": self._context, "server_hostname": IDENTITY_NAME} if remote else {}
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with session.request(method, url, data=body, headers=headers, timeout=timeout, **given) as response:
                return response.status, await response.read()
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _session_now(self) -> aiohttp.ClientSession:
        """With a renewed certificate nothing goes over the connections of the old one."""
        remote = self.address if isinstance(self.address, Remote) else None
        context = remote.tls() if remote else None
        if self._session is not None and context is not self._context:
            await self.close()
        if self._session is None:
            import aiohttp

            self._context = context
            self._session = aiohttp.ClientSession(connector=self._connector(), headers=self._headers)
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        import aiohttp

        if isinstance(self.address, Remote):
            from gslb.roles.endpoint.known_peer import KnownPeer

            return aiohttp.TCPConnector(ssl=KnownPeer(self.address.spiffe), limit=4)
        return aiohttp.UnixConnector(str(self.address))
