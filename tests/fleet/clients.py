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
        reply = await dns.asyncquery.udp(query, ADDRESS[nameserver], port=fleet.dns_port, timeout=timeout_s)
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
    answered; `failed` are requests by site: (seconds, what)."""

    def __init__(self, fleet, rate: float) -> None:
        self.fleet, self.pause_s = fleet, 1 / rate
        self.asked = self.fetched = 0
        self.lost, self.wrong = [], []
        self.silent: Counter = Counter()
        self.failed = {site: [] for site in EDGES}
        self.answered: Counter = Counter()
        self._number = 0

    async def drive(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        connector = aiohttp.TCPConnector(limit=64)
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self._number += 1
                tasks.create_task(self._resolve(self._number))
                tasks.create_task(self._fetch(session, EDGES[self._number % 2]))
                await asyncio.sleep(self.pause_s)

    async def _resolve(self, number: int) -> None:
        self.asked += 1
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

    async def _fetch(self, session: aiohttp.ClientSession, site: str) -> None:
        self.fetched += 1
        try:
            url = f"http://{ADDRESS[site]}:{self.fleet.http_port}/"
            async with session.get(url, headers={"host": HOST}) as response:
                await response.read()
                if response.status != 200:
                    self.failed[site].append((clock.mono_s(), response.status))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed[site].append((clock.mono_s(), repr(error)))

    def failures(self) -> dict:
        return {site: failed for site, failed in self.failed.items() if failed}


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
