"""Serves the zones of `zones` on port 53 of loopback addresses, with our own responder, and changes them as it runs."""

import asyncio
import contextlib
import dataclasses
import socket
import threading

import dns.message
import dns.rcode
import dns.rdatatype

from gslb import clock
from gslb.dns import native
from gslb.dns.compose import recompile
from gslb.dns.dnssec.seal import open_signers, seal_new
from gslb.dns.protocol import Protocol
from gslb.dns.responder import Responder
from gslb.dns.tables import Peer
from gslb.dns.wire import answer
from gslb.model.wire_name import from_text
from tests.interop import zones
from tests.support.signed_zone import SECRET

TIMEOUT_S = 10
PORT = 53
COOKIE_SECRET = bytes(range(16))


def can_serve():
    """Whether this machine lets us have the port that resolvers ask at."""
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            for address in (zones.ROOT_AT, zones.TLD_AT, zones.FAR_AT, *zones.SERVERS):
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind((address, PORT))
    except OSError:
        return False
    return True


class House:
    """All servers, in a thread of their own. `publish` takes them from one state of the keys to another."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        second = "native" if native.available() else "python"
        self._servers = {
            address: Responder(
                protocol=Protocol.telling(address.encode(), b"", (COOKIE_SECRET,)),
                wire=second if address == zones.SERVERS[1] else "python",
            )
            for address in (zones.ROOT_AT, zones.TLD_AT, zones.FAR_AT, *zones.SERVERS)
        }
        for address, server in self._servers.items():
            self._do(server.open([(address, PORT)]))
        self.far = zones.far_tables()
        self._serve(self.far, zones.FAR_AT)
        self._serve(zones.root_tables(), zones.ROOT_AT)
        self.state = self.snapshot = self.tables = self.parent = None

    def publish(self, state, live=None, drained=()):
        """The policy with the keys of `state`, and the parent as `state` says."""
        self.state, self.snapshot = state, zones.snapshot(state.intent, drained)
        self.tables = zones.policy_tables(self.snapshot, live, self.tables)
        self.parent = zones.parent_tables(state.ds)
        self._serve(self.parent, zones.TLD_AT)
        self._serve(self.tables, *zones.SERVERS)

    def flip(self, live):
        """New verdicts, as a dns role follows them."""
        tables = recompile(self.tables, self.snapshot, live)
        self.tables = seal_new(tables, open_signers(self.snapshot, [SECRET]), clock.wall_s())
        self._serve(self.tables, *zones.SERVERS)

    def replace(self, tables):
        """Any tables at all in place of the policy's."""
        self._serve(tables, *zones.SERVERS)

    def truth(self, name, qtype):
        """What is so: the rcode, and whether there are records of the type at the end of the aliases."""
        query = dns.message.make_query(name, qtype)
        packet = answer(self._tables_of(name, qtype), query.to_wire(), Peer(bytes(4), tcp=True), 0.0, 0)
        reply = dns.message.from_wire(packet)
        alias = reply.answer[-1] if reply.answer else None
        if alias and alias.rdtype == dns.rdatatype.CNAME and qtype not in ("CNAME", "ANY", "NSEC"):
            target = alias[0].target.to_text()
            if target.rstrip(".") not in {rrset.name.to_text().rstrip(".") for rrset in reply.answer}:
                reached = target.lower().rstrip(".")
                if not reply.authority or self._tables_of(reached, qtype) is not self.tables:
                    return self.truth(reached, qtype)
        wanted = dns.rdatatype.from_text(qtype)
        return dns.rcode.to_text(reply.rcode()), any(rrset.rdtype == wanted for rrset in reply.answer)

    def _tables_of(self, name, qtype):
        if name == zones.APEX and qtype == "DS":
            return self.parent
        far = [f"{label}.{zones.APEX}" for label in ("far", "bare")]
        below = any(name.endswith(f".{apex}") or (name == apex and qtype != "DS") for apex in far)
        return self.far if below else self.tables

    def queries(self):
        """How many the servers of the policy have had."""
        counts = [self._servers[address].counts() for address in zones.SERVERS]
        return sum(count.get("queries_udp", 0) for count in counts)

    def close(self):
        for server in self._servers.values():
            self._do(server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self, tables, *addresses):
        async def publish():
            for address in addresses:
                self._servers[address].publish(tables)

        self._do(publish())

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)


def with_broken_seals(tables, name):
    """`tables`, with signatures of `name` that somebody has tampered with."""
    owner = from_text(name)
    broken = {mark: seal[:-1] + bytes((seal[-1] ^ 1,)) for mark, seal in tables.seals[owner].items()}
    return dataclasses.replace(tables, seals={**tables.seals, owner: broken})


@contextlib.contextmanager
def open_house():
    house = House()
    try:
        yield house
    finally:
        house.close()
