"""What is seen of delegations (RFC 1034 section 4.2, RFC 4034 section 5) that a real Knot DNS serves, and of servers that
behave badly."""

import asyncio
import contextlib
import dataclasses

import dns.flags
import dns.rcode
import dns.rdata
import pytest

from gslb import clock
from gslb.dns.compose import compose
from gslb.dns.dnssec.keys import dnskey_rdata, ds_rdata
from gslb.dns.dnssec.seal import open_signers, seal
from gslb.dns.responder import Responder
from gslb.errors import HostError
from gslb.model.wire_name import from_text
from gslb.outside.asking import Asker, Resolver, parse_resolver
from gslb.outside.delegation import observe, parent_ds
from gslb.outside.delegation_judge import judge
from gslb.outside.delegation_seen import Failure, Server, Wanted
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState
from tests.support.knot import Knot, needs_knot
from tests.support.odd_dns import odd_server, reply_to
from tests.support.ports import free_port
from tests.support.signed_zone import SECRET, keys_of
from tests.unit.control.world import policy

ZONE = "gslb.example.test"
PARENTS, CHILDREN = ("127.0.7.31", "127.0.7.32"), ("127.0.7.33", "127.0.7.34")
NOBODY = "127.0.7.39"
DS = "12345 13 2 49FD46E6C4B45C55D4AC49FD46E6C4B45C55D4AC49FD46E6C4B45C55D4AC49FD"
OLD_DS = "54321 13 2 55D4AC49FD46E6C4B49FD46E6C4B45C49FD46E6C4B45C55D4AC49FD45C55D4AC"

PARENT = f"""$ORIGIN example.test.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
@ NS ns2
ns1 A {PARENTS[0]}
ns2 A {PARENTS[1]}
gslb NS ns1.gslb
gslb NS ns2.gslb
ns1.gslb A {CHILDREN[0]}
ns2.gslb A {CHILDREN[1]}
"""
CHILD = f"""$ORIGIN {ZONE}.
$TTL 300
@ SOA ns1 hostmaster 7 3600 600 604800 60
@ NS ns1
@ NS ns2
ns1 A {CHILDREN[0]}
ns2 A {CHILDREN[1]}
"""
WANTED = Wanted(ZONE, {f"ns{n}.{ZONE}": frozenset({CHILDREN[n - 1]}) for n in (1, 2)}, 7)


def ds(text):
    return dns.rdata.from_text("IN", "DS", text).to_digestable()


@pytest.fixture
def port():
    return free_port(*PARENTS, *CHILDREN)


@pytest.fixture
def knot(tmp_path, port):
    """Starts a server of these zones on these addresses."""
    servers = []

    def start(addresses, **zones):
        texts = {name.replace("_", "."): text for name, text in zones.items()}
        servers.append(Knot(tmp_path / f"knot{len(servers)}", texts, addresses, port))

    yield start
    for server in servers:
        server.close()


async def seen(port, wanted=WANTED, whole_s=15.0):
    asker = Asker(port=port, whole_s=whole_s)
    return await observe(asker, await Resolver.open(asker, (PARENTS[0], port)), wanted, lambda _: None)


@needs_knot
async def test_ds_records_and_their_ttl_are_read_at_every_server_of_the_parent(knot, port):
    knot(PARENTS[:1], example_test=PARENT + f"gslb 120 DS {DS}\ngslb 120 DS {OLD_DS}\n")
    knot(PARENTS[1:], example_test=PARENT + f"gslb 90 DS {DS}\n")
    told = await parent_ds(ZONE, (PARENTS[0], port), port=port)
    assert told.records == {ds(DS)}
    assert told.partial == {ds(OLD_DS)}
    assert told.ttl_s == 120
    assert told.servers == (Server("ns1.example.test", PARENTS[0]), Server("ns2.example.test", PARENTS[1]))
    assert told.silent == ()


@needs_knot
async def test_where_there_is_no_ds_the_ttl_is_the_negative_one_and_silence_is_told(knot, port):
    knot(PARENTS[:1], example_test=PARENT)
    told = await parent_ds(ZONE, (PARENTS[0], port), port=port)
    assert (told.records, told.partial, told.ttl_s) == (frozenset(), frozenset(), 60)
    assert told.servers == (Server("ns1.example.test", PARENTS[0]),)
    assert told.silent == (Server("ns2.example.test", PARENTS[1]),)


async def test_without_any_resolver_it_says_what_to_do(port):
    with pytest.raises(HostError, match=f"no DNS resolver answers: {NOBODY}\n.*--resolver"):
        await parent_ds(ZONE, (NOBODY, port), port=port)


@needs_knot
async def test_a_good_delegation_is_seen_whole(knot, port):
    knot(PARENTS, example_test=PARENT)
    knot(CHILDREN, gslb_example_test=CHILD)
    all_seen = await seen(port)
    assert all_seen.parent == "example.test"
    assert [view.server.address for view in all_seen.parents] == list(PARENTS)
    for view in all_seen.parents:
        assert (view.failure, view.nameservers) == (None, frozenset(WANTED.nameservers))
        assert view.glue == WANTED.nameservers
        assert (view.ns_ttl_s, view.ds_ttl_s, view.serves_child, view.signed) == (300, 60, False, False)
    assert [view.server.address for view in all_seen.children] == list(CHILDREN)
    for view in all_seen.children:
        assert (view.udp, view.tcp, view.serial, view.edns, view.same_case) == (None, None, 7, "", True)
        assert view.nameservers == frozenset(WANTED.nameservers)
        assert (len(view.soa.rdatas), view.keys.rdatas) == (1, frozenset())


@needs_knot
async def test_a_parent_that_serves_the_zone_as_well_tells_no_referral(knot, port):
    knot((*PARENTS, *CHILDREN), example_test=PARENT, gslb_example_test=CHILD)
    all_seen = await seen(port)
    assert [view.serves_child for view in all_seen.parents] == [True, True]
    assert [view.nameservers for view in all_seen.parents] == [frozenset(WANTED.nameservers)] * 2


@needs_knot
async def test_a_zone_that_the_parent_does_not_have_has_no_nameservers(knot, port):
    knot(PARENTS, example_test=PARENT)
    all_seen = await seen(port, Wanted("other.example.test", {}))
    assert [(view.failure, view.nameservers, view.ns_ttl_s) for view in all_seen.parents] == [
        (None, frozenset(), None)
    ] * 2


@needs_knot
async def test_a_server_without_the_zone_is_lame(knot, port):
    knot(PARENTS, example_test=PARENT)
    knot(CHILDREN[:1], gslb_example_test=CHILD)
    knot(CHILDREN[1:], somewhere_test=CHILD.replace(ZONE, "somewhere.test"))
    good, lame = (await seen(port)).children
    assert (good.udp, good.tcp) == (None, None)
    assert (lame.udp, lame.tcp) == (Failure("lame", "it answers REFUSED"),) * 2


@contextlib.asynccontextmanager
async def gslb_signed(port):
    """The zone, signed and served by gslb itself; yields its keys."""
    servers = {f"ns{n}": [CHILDREN[n - 1]] for n in (1, 2)}
    given = policy(zone={"name": ZONE, "nameservers": servers, "dnssec": True})
    made = compile_snapshot(Intent(revision=7, policy=given), clock.wall_s())
    made = dataclasses.replace(made, zone=dataclasses.replace(made.zone, keys=keys_of(ZONE)))
    tables = compose(made, LiveState(), clock.wall_s() - clock.mono_s())
    responder = Responder()
    await responder.open([(address, port) for address in CHILDREN])
    responder.publish(seal(tables, open_signers(made, [SECRET]), clock.wall_s()))
    try:
        yield keys_of(ZONE)
    finally:
        await responder.close()


@needs_knot
@pytest.mark.parametrize(
    ("role", "expected"),
    [("ksk", []), (None, [("warning", "ds-missing")]), ("nobody's", [("error", "bogus")])],
)
async def test_a_zone_that_gslb_signs_is_trusted_by_its_ds_record_alone(knot, port, role, expected):
    """RFC 4035 section 5.2, with dnspython as the validator."""
    async with gslb_signed(port) as keys:
        records = {"nobody's": f"gslb DS {DS}\n"}
        ksk = next(key for key in keys if key.role == "ksk")
        data = ds_rdata(from_text(ZONE), dnskey_rdata(ksk))
        records["ksk"] = f"gslb DS {dns.rdata.from_wire('IN', 'DS', data, 0, len(data))}\n"
        knot(PARENTS, example_test=PARENT + records.get(role, ""))
        all_seen = await seen(port, dataclasses.replace(WANTED, signed=True))
        found = judge(all_seen, clock.wall_s())
        told = await parent_ds(ZONE, (PARENTS[0], port), port=port)
    assert [(finding.severity, finding.rule) for finding in found] == expected
    assert told.records == ({data} if role == "ksk" else {ds(DS)} if role else frozenset())


async def test_whoever_is_dead_the_report_comes_in_time(port):
    """Everything that DNS names is on addresses where nobody is; the resolver alone answers."""

    def names(query):
        name, rtype = query.question[0].name.to_text(), query.question[0].rdtype.name
        known = {"A": NOBODY, "NS": "ns.example.test."}
        return reply_to(query, answer=[f"{name} 60 IN {rtype} {known[rtype]}"] if rtype in known else [])

    clock = asyncio.get_running_loop().time
    started = clock()
    with odd_server(PARENTS[0], port, names):
        all_seen = await seen(port, whole_s=0.6)
    assert clock() - started < 3
    assert [view.failure.kind for view in all_seen.parents] == ["silent"]
    assert {view.udp.kind for view in all_seen.children} == {"unasked"}


def child_reply(query, **more):
    zone, rtype = f"{ZONE}.", query.question[0].rdtype.name
    known = {"SOA": f"{zone} 60 IN SOA ns1.{zone} h.{zone} 7 1 1 1 1", "NS": f"{zone} 60 IN NS ns1.{zone}"}
    return reply_to(query, answer=[known[rtype]] if rtype in known else [], **more)


def plain_only(query):
    return child_reply(query) if query.edns < 0 else reply_to(query, rcode=dns.rcode.FORMERR)


def silent_about_edns(query):
    return child_reply(query) if query.edns < 0 else None


def without_opt(query):
    reply = child_reply(query)
    reply.use_edns(-1)
    return reply


def lower_case(query):
    data = child_reply(query).to_wire()
    return data[:12] + data[12:].lower() if query.question[0].rdtype.name == "SOA" else data


def cut(query):
    reply = reply_to(query)
    reply.flags |= dns.flags.TC
    return reply


GOOD = {"udp": None, "tcp": None, "serial": 7, "edns": "", "same_case": True}


@pytest.mark.parametrize(
    ("udp", "tcp", "expected"),
    [
        (child_reply, "as udp", {}),
        (plain_only, child_reply, {"edns": "it answers only what comes without EDNS"}),
        (silent_about_edns, child_reply, {"edns": "it answers only what comes without EDNS"}),
        (without_opt, child_reply, {"edns": "it ignores EDNS"}),
        (lower_case, child_reply, {"same_case": False}),
        (cut, child_reply, {}),
        (cut, None, {"tcp": Failure("silent", "it refuses connections over TCP"), "serial": None}),
        (child_reply, None, {"tcp": Failure("silent", "it refuses connections over TCP")}),
        (child_reply, lambda _: None, {"tcp": Failure("silent", "the connection over TCP broke")}),
        (child_reply, lambda _: b"\0" * 12, {"tcp": Failure("lame", "its reply over TCP cannot be read: BadResponse")}),
        (lambda _: None, child_reply, {"udp": Failure("silent", "no answer over UDP")}),
        (lambda query: child_reply(query, aa=False), "as udp",
         {**dict.fromkeys(("udp", "tcp"), Failure("lame", "its answer is not authoritative")), "serial": None}),
        (reply_to, "as udp",
         {**dict.fromkeys(("udp", "tcp"), Failure("lame", "it has no SOA record of the zone")), "serial": None}),
    ],
    ids=["good", "formerr", "drops-edns", "no-opt", "lower-case", "cut", "cut-without-tcp", "no-tcp", "tcp-closed",
         "tcp-nonsense", "no-udp", "not-authoritative", "no-soa"],
)  # fmt: skip
async def test_what_a_server_does_wrong_is_told(port, udp, tcp, expected):
    def resolver(query):
        return reply_to(query, rcode=dns.rcode.SERVFAIL)

    wanted = Wanted(ZONE, {f"ns1.{ZONE}": frozenset({CHILDREN[0]})})
    with odd_server(PARENTS[0], port, resolver), odd_server(CHILDREN[0], port, udp, tcp):
        all_seen = await seen(port, wanted, whole_s=3.5)
    (child,) = all_seen.children
    assert {name: getattr(child, name) for name in GOOD} == GOOD | expected
    assert all_seen.parent == Failure(
        "lame", f"the resolver {PARENTS[0]} answers SERVFAIL for the name servers of example.test"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_resolvers_are_written_with_or_without_a_port(text, expected):
    assert parse_resolver(text) == expected
