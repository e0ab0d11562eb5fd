"""The responder on real sockets of the loopback network: publishing, counting, limits, and errors that an operator reads."""

import asyncio
import os
import socket
import struct
from ipaddress import ip_network
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest
import structlog.testing
import uvloop

from gslb.dns.compose import compose
from gslb.dns.listening import bind_all
from gslb.dns.networks import Networks
from gslb.dns.responder import Responder
from gslb.dns.streams import Limits
from gslb.errors import HostError
from gslb.snapshot.types import LiveState
from tests.unit.dns.policies import APEX, app, snapshot, weighted

pytestmark = pytest.mark.usefixtures("every_wire")

HOST = "127.0.7.11"
TIMEOUT_S = 10


def tables(**weights):
    return compose(snapshot({"shop": app("healthy", weighted(**(weights or {"dc": 1})))}), LiveState())


def query(qtype="A", **more):
    return dns.message.make_query(f"shop.{APEX}", qtype, **more)


async def udp(address, message=None, host=None):
    return await dns.asyncquery.udp(message or query(), host or address[0], TIMEOUT_S, address[1])


async def tcp(address, message=None, host=None):
    return await dns.asyncquery.tcp(message or query(), host or address[0], TIMEOUT_S, address[1])


def texts(reply):
    return [rdata.to_text() for rrset in reply.answer for rdata in rrset]


async def counts_with(responder, name, number):
    """The counts, as soon as one is so high: silence cannot be waited for otherwise."""
    async with asyncio.timeout(TIMEOUT_S):
        while responder.counts().get(name) != number:
            await asyncio.sleep(0.01)
    return responder.counts()


class Opened:
    """A responder with tables, closed at the end."""

    def __init__(self, *hosts, limits=None, published=True):
        self.responder, self.hosts, self.published = Responder(limits), hosts or (HOST,), published

    async def __aenter__(self):
        await self.responder.open([(host, 0) for host in self.hosts])
        if self.published:
            self.responder.publish(tables())
        return self.responder

    async def __aexit__(self, *_):
        await self.responder.close()


async def test_udp_and_tcp_share_a_port_on_each_address():
    async with Opened(HOST, "127.0.7.12", "::1") as responder:
        assert len(responder.addresses()) == 3
        for address in responder.addresses():
            assert texts(await udp(address)) == texts(await tcp(address)) == ["192.0.2.10"]


async def test_publishing_replaces_the_answer():
    async with Opened() as responder:
        (address,) = responder.addresses()
        responder.publish(tables(aws=1))
        assert texts(await udp(address)) == texts(await tcp(address)) == ["198.51.100.20"]


@pytest.mark.parametrize(("bound", "asked"), [("0.0.0.0", "127.0.7.13"), ("::", "::1")])
async def test_on_all_addresses_the_reply_comes_from_the_one_that_was_asked(bound, asked):
    """127.0.7.13 is not what the kernel would choose to answer 127.0.0.1; dnspython compares the source."""
    async with Opened(bound) as responder:
        (address,) = responder.addresses()
        assert texts(await udp(address, host=asked)) == ["192.0.2.10"]
        assert texts(await tcp(address, host=asked)) == ["192.0.2.10"]


async def test_counts():
    async with Opened() as responder:
        (address,) = responder.addresses()
        await udp(address)
        await udp(address, dns.message.make_query(f"nowhere.{APEX}", "A"))
        await udp(address, dns.message.make_query("example.org", "A"))
        await udp(address, query(use_edns=1))
        await tcp(address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"short", address)
        await udp(address)
        counts = await counts_with(responder, "dropped", 1)
        counts.pop("tcp_open")
        assert counts == {
            "queries_udp": 6, "queries_tcp": 1, "dropped": 1, "tcp_connections": 1, "responses_noerror": 3,
            "responses_nxdomain": 1, "responses_refused": 1, "responses_badvers": 1,
        }  # fmt: skip


async def test_truncation_is_counted():
    sites = {"dc": {"edges": [{"public": [f"192.0.2.{number}" for number in range(1, 101)]}]}}
    async with Opened() as responder:
        (address,) = responder.addresses()
        responder.publish(compose(snapshot({"shop": app({"first": 1})}, sites=sites), LiveState()))
        await udp(address)
        assert responder.counts()["truncated"] == 1


async def test_before_tables_there_is_silence():
    async with Opened(published=False) as responder:
        (address,) = responder.addresses()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(query().to_wire(), address)
        with pytest.raises(EOFError):
            await tcp(address)
        await counts_with(responder, "dropped", 2)
        assert not any(name.startswith("responses") for name in responder.counts())


async def test_a_bug_costs_one_servfail_and_one_line(capsys):
    """Tables whose pools are missing stand in for a bug."""
    import dataclasses

    broken = dataclasses.replace(tables(), pools=())
    async with Opened() as responder:
        (address,) = responder.addresses()
        responder.publish(broken)
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                reply = await udp(address, query())
                assert reply.rcode() == dns.rcode.SERVFAIL
        assert [line["log_level"] for line in lines] == ["error"]
        assert responder.counts()["failed"] == responder.counts()["responses_servfail"] == 3
        responder.publish(tables())
        assert texts(await udp(address)) == ["192.0.2.10"]


async def test_a_flood_is_answered_in_turns():
    """More datagrams than one wakeup takes; all fit into the socket's buffer."""
    async with Opened() as responder:
        (address,) = responder.addresses()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            for number in range(200):
                sock.sendto(query(id=number).to_wire(), address)
            loop, seen = asyncio.get_running_loop(), set()
            async with asyncio.timeout(TIMEOUT_S):
                while len(seen) < 200:
                    seen.add(dns.message.from_wire(await loop.sock_recv(sock, 4096)).id)
        assert responder.counts()["queries_udp"] == 200


async def test_a_reply_that_cannot_leave_is_counted_and_no_more():
    """Port 0 can send nothing back: a raw socket writes a header that no honest client has."""
    if os.geteuid() != 0:
        pytest.skip("raw sockets need root")
    async with Opened(HOST, "0.0.0.0") as responder:
        for host, port in responder.addresses():
            payload = query().to_wire()
            datagram = struct.pack("!4H", 0, port, 8 + len(payload), 0) + payload
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as sock:
                sock.sendto(datagram, (HOST, 0))
            assert texts(await udp((host, port), host=HOST)) == ["192.0.2.10"]
        async with asyncio.timeout(TIMEOUT_S):
            while responder.counts()["send_failed"] < 2:  # another thread may have answered the honest one
                await asyncio.sleep(0.01)
        assert responder.counts()["send_failed"] == 2


async def test_an_idle_connection_is_closed():
    async with Opened(limits=Limits(idle_s=0.05)) as responder:
        (address,) = responder.addresses()
        reader, writer = await asyncio.open_connection(*address)
        async with asyncio.timeout(TIMEOUT_S):
            assert await reader.read() == b""
        writer.close()


async def test_half_a_message_is_idle_too():
    async with Opened(limits=Limits(idle_s=0.05)) as responder:
        (address,) = responder.addresses()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"\0\x20half")
        async with asyncio.timeout(TIMEOUT_S):
            assert await reader.read() == b""
        writer.close()


async def ended(reader):
    """Waits until the server ends the connection, however it does it."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def exchange(reader, writer):
    wire = query().to_wire()
    writer.write(len(wire).to_bytes(2) + wire)
    return dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))


async def test_one_client_cannot_take_all_connections():
    async with Opened(limits=Limits(per_client=2)) as responder:
        (address,) = responder.addresses()
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        for pair in held:
            assert texts(await exchange(*pair)) == ["192.0.2.10"]
        reader, writer = await asyncio.open_connection(*address)
        assert await ended(reader)
        other = await asyncio.open_connection(*address, local_addr=("127.0.7.14", 0))
        for pair in (*held, other):
            assert texts(await exchange(*pair)) == ["192.0.2.10"]
        assert responder.counts()["tcp_refused"] == 1
        for _, w in (*held, other, (reader, writer)):
            w.close()


async def test_a_full_table_gives_up_the_connection_that_was_idle_longest():
    async with Opened(limits=Limits(connections=2)) as responder:
        (address,) = responder.addresses()
        first = await asyncio.open_connection(*address)
        await exchange(*first)
        second = await asyncio.open_connection(*address)
        await exchange(*second)
        await exchange(*first)
        third = await asyncio.open_connection(*address)
        assert texts(await exchange(*third)) == ["192.0.2.10"]
        assert await ended(second[0])
        assert texts(await exchange(*first)) == ["192.0.2.10"]
        assert (responder.counts()["tcp_evicted"], responder.counts()["tcp_open"]) == (1, 2)
        for _, writer in (first, second, third):
            writer.close()


async def test_closing_ends_connections_and_frees_the_port_for_a_successor():
    async with Opened() as responder:
        (address,) = responder.addresses()
        reader, writer = await asyncio.open_connection(*address)
        await exchange(reader, writer)
        await responder.close()
        assert await ended(reader)
        writer.close()
        successor = Responder()
        await successor.open([address])
        await successor.close()


async def test_the_wall_clock_is_followed():
    """The holder of tables refreshes the offset: what was published with a wrong one is right a moment later."""
    async with Opened() as responder:
        import dataclasses

        responder.publish(dataclasses.replace(tables(dc=1, aws=1), wall_offset_s=-1e9))
        from gslb import clock

        wall_s = responder._tables.wall_offset_s + clock.mono_s()
        assert abs(wall_s - clock.wall_s()) < 60


def test_on_uvloop():
    async def main():
        async with Opened("127.0.7.15", "0.0.0.0") as responder:
            for address in responder.addresses():
                assert texts(await udp(address, host="127.0.7.15")) == ["192.0.2.10"]
                assert texts(await tcp(address, host="127.0.7.15")) == ["192.0.2.10"]

    uvloop.run(main())


# Errors that an operator reads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "word", "command"), [
    (socket.SOCK_DGRAM, "UDP", "ss -lunp"), (socket.SOCK_STREAM, "TCP", "ss -ltnp"),
])  # fmt: skip
async def test_an_address_in_use_is_named_and_nothing_stays_open(kind, word, command):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((HOST, 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HostError) as caught:
            await Responder().open([("127.0.7.16", port), (HOST, port)])
        assert all(part in caught.value.message for part in (word, HOST, str(port)))
        assert command in caught.value.remedy
    for listener in bind_all([("127.0.7.16", port), (HOST, port)]):
        listener.close()


async def test_an_address_of_another_machine():
    with pytest.raises(HostError, match="does not have that address") as caught:
        await Responder().open([("192.0.2.53", 0)])
    assert "ip -brief address" in caught.value.remedy


async def test_what_is_no_address():
    with pytest.raises(HostError, match="'ns1': not an IP address"):
        await Responder().open([("ns1", 53)])


def test_a_port_that_needs_a_privilege():
    """In a child, which gives up root where the tests have it."""
    low = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if low <= 1:
        pytest.skip("every port is free to all on this machine")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            bind_all([("127.0.7.17", low - 1)])
        except HostError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    text = os.read(read, 4096).decode()
    os.close(read)
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in text
    assert "setcap" in text


def test_errors_that_have_no_name_of_their_own_still_say_what_and_where():
    """IPv6 addresses do not take an IPv4 destination scope: the kernel says EINVAL for a link-local without interface."""
    with pytest.raises(HostError, match=r"cannot listen on UDP .*fe80::1.*: Invalid argument"):
        bind_all([("fe80::1", 0)])


# Behind a proxy -----------------------------------------------------------------------------------------------------------

HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((192, 0, 2, 1)) + bytes((198, 51, 100, 1)) + bytes(4)


@pytest.fixture
async def proxied():
    """A responder for proxies at 127.0.7.18, and its address."""
    responder = Responder(Limits(per_client=1, idle_s=5))
    await responder.open([], [("127.0.7.17", 0)], Networks([ip_network("127.0.7.18")]))
    responder.publish(tables())
    yield responder, *responder.addresses()
    await responder.close()


async def from_proxy(address, octets):
    reader, writer = await asyncio.open_connection(*address, local_addr=("127.0.7.18", 0))
    writer.write(octets)
    return reader, writer


async def test_closing_does_not_wait_for_a_header(proxied):
    responder, address = proxied
    reader, writer = await from_proxy(address, HEADER[:7])
    async with asyncio.timeout(TIMEOUT_S):
        while not responder.counts()["tcp_open"]:
            await asyncio.sleep(0.01)
        started = asyncio.get_running_loop().time()
        await responder.close()
    assert asyncio.get_running_loop().time() - started < 2
    assert await ended(reader)
    writer.close()


async def test_connections_are_counted_for_the_client_and_not_for_the_proxy(proxied):
    responder, address = proxied
    other = HEADER.replace(bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)))
    held = [await from_proxy(address, header) for header in (HEADER, other)]
    for pair in held:
        assert texts(await exchange(*pair)) == ["192.0.2.10"]
    one_more = await from_proxy(address, HEADER)
    assert await ended(one_more[0])
    assert (responder.counts()["tcp_refused"], responder.counts()["tcp_open"]) == (1, 2)
    for _, writer in (*held, one_more):
        writer.close()
