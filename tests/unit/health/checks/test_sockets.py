"""TCP, TLS, DNS and ICMP checks against servers on loopback."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from gslb.errors import HostError
from gslb.health.checks.tools import Tools
from gslb.health.target import Result
from gslb.snapshot.checks import DnsAsk, IcmpAsk, TcpAsk, Tls, TlsAsk
from tests.support.authority import Authority
from tests.support.odd_dns import odd_server, reply_to
from tests.unit.health.checks.peers import HOST, found, free_port, server, silence, tls_server

DAY_S = 86_400.0

# TCP ------------------------------------------------------------------------------------------------------------------


async def redis(reader, writer):
    while line := await reader.readline():
        writer.write(b"+PONG\r\n" if line == b"PING\r\n" else b"-ERR\r\n")


async def tcp(answer, send=None, expect=None, **options):
    async with server(answer) as port:
        return await found(TcpAsk(HOST, port, send, expect), **options)


async def test_a_connection_is_enough():
    assert await tcp(silence) == Result(True, "db: connected")
    assert await found(TcpAsk(HOST, free_port(), None, None)) == Result(False, "db: connect refused")
    assert await found(TcpAsk(HOST, free_port(), None, None), invert=True) == Result(
        True, "db: connect refused, inverted"
    )


async def test_what_is_said_and_what_comes_back():
    assert (await tcp(redis, "PING\r\n", "+PONG")).ok
    assert await tcp(redis, "PIN\r\n", "+PONG", timeout_s=0.1) == Result(False, "db: timeout after 0.1 s")

    async def banner_in_pieces(_reader, writer):
        for piece in (b"220 mail", b".example.com ES", b"MTP\r\n"):
            writer.write(piece)
            await asyncio.sleep(0.01)

    assert (await tcp(banner_in_pieces, expect="example.com ESMTP")).ok
    assert await tcp(banner_in_pieces, expect="POP3") == Result(False, "db: without 'POP3' in 28 octets")


async def test_a_flood_without_the_expected_text_ends():
    async def flood(_reader, writer):
        while True:
            writer.write(b"a" * 65_536)
            await writer.drain()

    assert await tcp(flood, expect="b") == Result(False, "db: without 'b' in 16384 octets")


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("secrets"))
    made.issue("server", HOST)  # good for a day
    return made


async def tls(authority, warn_s=0.0, fail_s=0.0, ca="ca.pem", later_s=0.0):
    now_s = datetime.now(UTC).timestamp() + later_s
    tools = Tools(secrets=authority.folder, wall_s=lambda: now_s)
    context = tls_server(authority.folder / "server.pem", authority.folder / "server.key")
    async with server(silence, context) as port:
        return await found(TlsAsk(HOST, port, Tls(ca=ca), warn_s, fail_s), tools)


async def test_a_certificate_that_is_good_for_long_enough(authority):
    result = await tls(authority)
    assert (result.ok, result.warning) == (True, False)
    assert result.reason.endswith(("in 24.0 hours", "in 23.9 hours", "in 23.8 hours"))


async def test_one_that_ends_soon_is_warned_of_and_later_fails(authority):
    assert (await tls(authority, warn_s=2 * DAY_S)).warning
    late = await tls(authority, warn_s=2 * DAY_S, fail_s=DAY_S / 2, later_s=DAY_S * 0.75)
    assert (late.ok, late.warning) == (False, False)
    assert late.reason.endswith("; 12.0 hours are required")


async def test_one_that_nobody_believes(authority):
    assert (await tls(authority, ca=None)).reason == "db: certificate: unable to get local issuer certificate"


async def test_no_tls_at_all(authority):
    async def greet(_reader, writer):
        writer.write(b"220 hello\r\n")

    async with server(greet) as port:
        result = await found(TlsAsk(HOST, port, Tls(ca="ca.pem"), 0, 0), Tools(secrets=authority.folder))
    assert not result.ok
    assert result.reason.startswith("db: TLS: ")


# DNS ------------------------------------------------------------------------------------------------------------------

A = "db.example.com. 5 IN A 192.0.2.7"


def dns_ask(port, expect=(), name="db.example.com", kind="A", tcp=False):
    return DnsAsk(HOST, port, name, kind, tuple(expect), tcp)


@pytest.mark.parametrize(
    ("lines", "expect", "ok", "reason"),
    [
        ([A], [], True, "db: 192.0.2.7"),
        ([A], ["192.0.2.7"], True, "db: 192.0.2.7"),
        ([A, A[:-1] + "8"], ["192.0.2.8"], True, "db: 192.0.2.7, 192.0.2.8"),
        ([A], ["192.0.2.7", "192.0.2.8"], False, "db: 192.0.2.7; without 192.0.2.8"),
        (["db.example.com. 5 IN CNAME x.example.com.", "x.example.com. 5 IN A 192.0.2.7"], ["192.0.2.7"], True,
         "db: 192.0.2.7"),
        (["db.example.com. 5 IN CNAME x.example.com."], [], False, "db: no A record in the answer"),
        ([], [], False, "db: no A record in the answer"),
    ],
)  # fmt: skip
async def test_what_an_answer_must_hold(lines, expect, ok, reason):
    port = free_port()
    with odd_server(HOST, port, lambda query: reply_to(query, answer=lines)):
        assert await found(dns_ask(port, expect)) == Result(ok, reason)


async def test_other_types_compare_as_records():
    port, line = free_port(), "db.example.com. 5 IN MX 10 Mail.Example.com."
    with odd_server(HOST, port, lambda query: reply_to(query, answer=[line])):
        assert (await found(dns_ask(port, ["10 mail.example.com."], kind="MX"))).ok


@pytest.mark.parametrize(("rcode", "text"), [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED")])
async def test_other_rcodes(rcode, text):
    port = free_port()
    with odd_server(HOST, port, lambda query: reply_to(query, rcode=rcode)):
        assert await found(dns_ask(port)) == Result(False, f"db: {text}")


async def test_a_truncated_answer_is_asked_for_over_tcp():
    import dns.flags

    def cut(query):
        reply = reply_to(query)
        reply.flags |= dns.flags.TC
        return reply

    port = free_port()
    with odd_server(HOST, port, cut, lambda query: reply_to(query, answer=[A])):
        assert (await found(dns_ask(port))).ok
        assert (await found(dns_ask(port, tcp=True))).ok


async def test_silence_garbage_and_a_check_that_makes_no_sense():
    port = free_port()
    with odd_server(HOST, port, lambda _query: None):
        assert await found(dns_ask(port), timeout_s=0.1) == Result(False, "db: timeout after 0.1 s")
    with odd_server(HOST, free := free_port(), lambda query: query.to_wire()[:2] + b"\xff" * 5):
        assert not (await found(dns_ask(free), timeout_s=0.2)).ok
    nonsense = await found(dns_ask(port, ["not-an-address"]))
    assert nonsense.reason.startswith("db: the check cannot be made: ")


# ICMP -----------------------------------------------------------------------------------------------------------------

PING = """
import asyncio, subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
open("/proc/sys/net/ipv4/ping_group_range", "w").write("0 2147483647")
from gslb.health.checks.ask import look_at
from gslb.health.checks.tools import Tools
from gslb.snapshot.checks import IcmpAsk, NamedCheck
def ping(host):
    print(asyncio.run(look_at(NamedCheck("db", "icmp", IcmpAsk(host), 1.0, 0.5, 1, 1), Tools())).reason)
ping("127.0.0.1"); ping("::1"); ping("198.51.100.1")
subprocess.run(["ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1"], check=True)
subprocess.run(["ip", "link", "set", "d0", "up"], check=True)
subprocess.run(["ip", "addr", "add", "198.51.100.2/24", "dev", "d0"], check=True)
ping("198.51.100.1")
"""


def test_an_echo_where_the_kernel_allows_it():
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", PING], check=False, capture_output=True, text=True)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("no network namespace may be made here")
    assert done.stdout.splitlines() == [
        "db: 127.0.0.1 answers",
        "db: ::1 answers",
        "db: connect failed: network is unreachable",
        "db: timeout after 0.5 s",
    ], done.stderr


async def test_an_echo_where_the_kernel_forbids_it_says_nothing_about_the_other_side(monkeypatch):
    def refuse(*_args):
        raise PermissionError

    monkeypatch.setattr("gslb.health.checks.icmp.socket.socket", refuse)
    with pytest.raises(HostError, match="ping_group_range"):
        await found(IcmpAsk("127.0.0.1"))
