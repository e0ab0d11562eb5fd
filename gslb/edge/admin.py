"""Envoy's admin interface over its unix socket. Asks and tells; what follows from an answer is decided elsewhere.

Every call has a timeout: a frozen Envoy accepts connections and never answers.
"""

from __future__ import annotations

import ipaddress
import json
from http import HTTPStatus
from typing import Literal

import aiohttp

from gslb.edge.stats import parse_stats
from gslb.errors import HostError
from gslb.model.words import IpAddress

__all__ = ["Admin"]

Kind = Literal["All", "Counters", "Gauges", "TextReadouts"]

_TIMEOUT_S = 5.0
_BODY_LIMIT_BYTES = 256 * 1024**2


class Admin:
    """The admin interface at `socket`. Every method but `ready` raises HostError where Envoy does not answer."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    async def ready(self, timeout_s: float) -> bool | None:
        """Whether Envoy serves (False: it is starting), or None: no answer within `timeout_s`. One that tells its
        connections to go serves too."""
        try:
            status, body = await self._ask("GET", "/ready", {}, timeout_s)
        except HostError:
            return None
        return status == HTTPStatus.OK or body.startswith(b"DRAINING")

    async def stats(self, pattern: str, kind: Kind = "All") -> dict[str, int | str]:
        """Counters, gauges and texts of a kind whose name matches the RE2 `pattern`, without those that were never set:
        they are 0. Among 20,000 clusters that takes Envoy 0.05 s for texts and 0.17 s for all, and 0.45 s with them."""
        query = {"format": "json", "filter": pattern, "type": kind, "usedonly": ""}
        _, body = await self._ask("GET", "/stats", query)
        return parse_stats(body)

    async def histograms(self, pattern: str) -> bytes:
        """The body of `/stats` for what matches the RE2 `pattern`, with every bin of its histograms."""
        _, body = await self._ask(
            "GET", "/stats", {"format": "json", "histogram_buckets": "detailed", "filter": pattern}
        )
        return body

    async def listening(self) -> frozenset[tuple[IpAddress, int]]:
        """The addresses and ports that Envoy has bound."""
        _, body = await self._ask("GET", "/listeners", {"format": "json"})
        try:
            statuses = json.loads(body).get("listener_statuses", [])
            sockets = [status["local_address"]["socket_address"] for status in statuses]
            return frozenset((ipaddress.ip_address(item["address"]), int(item["port_value"])) for item in sockets)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HostError(f"Envoy's listeners cannot be read: {error!r}", "use an Envoy of version 1.40") from error

    async def runtime(self, key: str) -> str:
        """The value of a runtime key, of all layers; empty where it has none."""
        _, body = await self._ask("GET", "/runtime", {"format": "json"})
        try:
            return str(json.loads(body)["entries"].get(key, {}).get("final_value", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HostError(f"Envoy's runtime cannot be read: {error!r}", "use an Envoy of version 1.40") from error

    async def set_leaving(self, leaving: bool) -> None:
        """Tell open connections to go (`connection: close`, GOAWAY), or stop telling them."""
        await self._ask("POST", f"/healthcheck/{'fail' if leaving else 'ok'}", {})

    async def stop_listening(self) -> None:
        """Take no new connections, for good; those that are open go on."""
        await self._ask("POST", "/drain_listeners", {})

    async def open_connections(self) -> int:
        """Connections of clients, other edges included, that are open now."""
        gauges = await self.stats(r"^http\..*\.downstream_cx_active$", "Gauges")
        return sum(int(value) for name, value in gauges.items() if not name.startswith("http.admin."))

    async def _ask(
        self, method: str, path: str, query: dict[str, str], timeout_s: float = _TIMEOUT_S
    ) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.socket), timeout=timeout) as session,
                session.request(method, f"http://envoy{path}", params=query) as response,
            ):
                return response.status, await _body(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise HostError(
                f"Envoy does not answer at {self.socket}: {error or 'no answer in time'}",
                "see envoy.log beside the socket; Envoy is started again by itself",
            ) from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BODY_LIMIT_BYTES:
            raise HostError(f"Envoy answers with more than {_BODY_LIMIT_BYTES:,} octets", "split the policy")
    return bytes(body)
