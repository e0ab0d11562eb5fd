"""Steady clients of a fleet: a resolver that asks one nameserver and then the other, browsers at both edges."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.rcode

from gslb import clock
from tests.fleet.installation import ADDRESS, EDGES, HOST, NAMESERVERS

PATIENCE_S = 2.0


async def ask(fleet, nameserver: str, client: str | None = None, timeout_s: float = PATIENCE_S):
    """The addresses that a nameserver answers, for a client in the network of `client`; None: it does not answer."""
    options = [dns.edns.ECSOption(client, 24)] if client else []
    query = dns.message.make_query(HOST, "A", use_edns=0, options=options)
    try:
        reply, _ = await dns.asyncquery.udp_with_fallback(  # who is limited is told to come by TCP
            query, ADDRESS[nameserver], port=fleet.dns_port, timeout=timeout_s
        )
    except (OSError, dns.exception.DNSException):
        return None
    assert reply.rcode() == dns.rcode.NOERROR, reply
    return sorted(item.to_text() for rrset in reply.answer for item in rrset)


async def answers(fleet, nameserver: str, clients: int = 24) -> dict:
    """What many clients are answered."""
    networks = [f"198.51.{number}.0" for number in range(100, 100 + clients)]
    return {network: await ask(fleet, nameserver, network) for network in networks}


async def served(fleet, site: str, times: int = 20) -> Counter:
    """Which backends answer at the edge of a site; what is no 200 by its status."""
    seen: Counter = Counter()
    async with aiohttp.ClientSession() as session:
        for _ in range(times):
            url = f"http://{ADDRESS[site]}:{fleet.http_port}/"
            async with session.get(url, headers={"host": HOST}) as response:
                seen[(await response.json())["name"] if response.status == 200 else response.status] += 1
    return seen


class Load:
    """`lost` are queries that no nameserver answered, `silent` those that one did not; `wrong` what must never be
    answered. `failed` are requests: (site, when it was sent, what came of it). Who finds nobody at one edge goes to the
    other; `refused` counts that."""

    def __init__(self, fleet, rate: float) -> None:
        self.fleet, self.pause_s = fleet, 1 / rate
        self.number = 0
        self.lost, self.wrong, self.failed = [], [], []
        self.silent, self.refused, self.answered = Counter(), Counter(), Counter()

    def counts(self) -> str:
        return (
            f"{self.number} queries, {dict(self.silent)} silent, {len(self.lost)} lost; "
            f"{self.number} requests, {dict(self.refused)} refused, {len(self.failed)} failed"
        )

    async def drive(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        connector = aiohttp.TCPConnector(limit=64)
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self.number += 1
                tasks.create_task(self._resolve(self.number))
                tasks.create_task(self._fetch(session, self.number))
                await asyncio.sleep(self.pause_s)

    async def _resolve(self, number: int) -> None:
        client = f"198.51.{100 + number // 2 % 100}.0"
        for nameserver in (NAMESERVERS[number % 2], NAMESERVERS[1 - number % 2]):
            try:
                found = await ask(self.fleet, nameserver, client)
            except AssertionError as error:
                found = []
                self.wrong.append(str(error))
            if found is None:
                self.silent[nameserver] += 1
                continue
            if not found:
                self.wrong.append(f"an empty answer of {nameserver} at {clock.mono_s()}")
            self.answered.update(found)
            return
        self.lost.append(clock.mono_s())

    async def _fetch(self, session: aiohttp.ClientSession, number: int) -> None:
        sent_s = clock.mono_s()
        for site in (EDGES[number % 2], EDGES[1 - number % 2]):
            try:
                url = f"http://{ADDRESS[site]}:{self.fleet.http_port}/?delay=0.05"
                async with session.get(url, headers={"host": HOST}) as response:
                    await response.read()
                    if response.status != 200:
                        self.failed.append((site, sent_s, response.status))
            except aiohttp.ClientConnectorError:
                self.refused[site] += 1
                continue
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.failed.append((site, sent_s, repr(error)))
            return
        self.failed.append(("both", sent_s, "refused"))


@asynccontextmanager
async def load(fleet, rate: float = 20):
    """Queries and requests meanwhile, `rate` of each a second. The counts are complete when the block has ended."""
    made, stop = Load(fleet, rate), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(made.drive(group, stop))
        try:
            yield made
        finally:
            stop.set()
