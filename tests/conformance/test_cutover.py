"""What is seen of a name that shall move: records as its servers give them, CAA climbed as RFC 8659 section 3 says,
certificates by SNI, and answers of edges beside those for a host that nobody has."""

import datetime as dt
import ssl

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gslb.outside.cutover_facts import Ports, check_cutover, look
from gslb.outside.cutover_seen import CaaSeen, Plan, Records
from gslb.outside.delegation_seen import Failure, Wanted
from gslb.outside.web_probes import look_at_answer, look_at_certificate
from tests.support.knot import Knot, needs_knot
from tests.support.odd_dns import odd_server, reply_to
from tests.support.ports import free_port

DNS, OLD, EDGE, NOBODY = "127.0.7.41", "127.0.7.42", "127.0.7.43", "127.0.7.44"
NAME, ZONE, TARGET = "shop.example.test", "gslb.example.test", "shop.gslb.example.test"

PARENT_ZONE = f"""$ORIGIN example.test.
@ 300 SOA ns1 hostmaster 1 3600 600 604800 60
@ 300 NS ns1
@ 300 CAA 0 issue "ca.example.net"
ns1 300 A {DNS}
shop 3600 A {OLD}
shop 60 TXT "hello"
www 60 CNAME shop
gslb 300 NS ns1.gslb
ns1.gslb 300 A {DNS}
"""
OWN_ZONE = f"""$ORIGIN {ZONE}.
@ 300 SOA ns1 hostmaster 4 3600 600 604800 60
@ 300 NS ns1
ns1 300 A {DNS}
shop 10 A {EDGE}
guarded 10 CAA 128 issue "guard.example.net; accounturi=x"
"""
WANTED = Wanted(ZONE, {f"ns1.{ZONE}": frozenset({DNS})}, 4)


def made_certificate(folder, *names, days=60, by="A Test CA"):
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, by)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(issuer).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - dt.timedelta(days=90))
    builder = builder.not_valid_after(now + dt.timedelta(days=days))
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    certificate = builder.sign(key, hashes.SHA256())
    path = folder / "server.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path, certificate.not_valid_after_utc.timestamp()


@pytest.fixture
async def web_server():
    """Serves `handler` on an address; gives the port."""
    runners = []

    async def serve(address, handler, pem=None, port=0):
        async def answer(request):
            return handler(request)

        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        runners.append(runner)
        context = None
        if pem is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(pem)
        await web.TCPSite(runner, address, port, ssl_context=context).start()
        return runner.addresses[0][1]

    yield serve
    for runner in runners:
        await runner.cleanup()


def only(host, status=200):
    def handler(request):
        known = request.host == host
        return web.Response(status=status if known else 404, text="found" if known else "")

    return handler


async def test_the_certificate_is_that_for_the_name(tmp_path, web_server):
    pem, until_s = made_certificate(tmp_path, NAME, "*.Example.org")
    port = await web_server(OLD, only(NAME), pem)
    seen = await look_at_certificate(OLD, NAME, port)
    assert (seen.failure, seen.names, seen.issuer, seen.until_s) == (
        None,
        (NAME, "*.example.org"),
        "A Test CA",
        until_s,
    )
    assert seen.distrust == "self-signed certificate"


async def test_a_certificate_without_names_names_nobody(tmp_path, web_server):
    pem, _ = made_certificate(tmp_path)
    assert (await look_at_certificate(OLD, NAME, await web_server(OLD, only(NAME), pem))).names == ()


async def test_what_others_wrote_cannot_command_a_terminal(tmp_path, web_server):
    pem, _ = made_certificate(tmp_path, by="\x1b]0;owned\x07")
    assert (await look_at_certificate(OLD, NAME, await web_server(OLD, only(NAME), pem))).issuer == "?]0;owned?"


async def test_why_there_is_no_certificate_is_told(web_server):
    port = free_port(OLD)
    assert (await look_at_certificate(OLD, NAME, port)).failure == Failure("silent", f"nobody listens on port {port}")
    plain = await web_server(EDGE, only(NAME))
    failure = (await look_at_certificate(EDGE, NAME, plain)).failure
    assert failure.kind == "lame"
    assert failure.why.startswith(f"it speaks no TLS for this name on port {plain}: ")


@pytest.mark.parametrize(
    ("handler", "status", "nobodys"),
    [
        (only(NAME), 200, False),
        (only(NAME, 404), 404, False),
        (only("other.example.test"), 404, True),
        (lambda _: web.Response(status=302, headers={"Location": "http://elsewhere.invalid/"}), 302, True),
    ],
)
async def test_an_answer_is_compared_with_that_for_a_host_of_nobody(web_server, handler, status, nobodys):
    seen = await look_at_answer(EDGE, await web_server(EDGE, handler), NAME)
    assert (seen.failure, seen.status, seen.nobodys) == (None, status, nobodys)


async def test_why_there_is_no_answer_is_told():
    port = free_port(EDGE)
    assert (await look_at_answer(EDGE, port, NAME)).failure == Failure("silent", f"nobody listens on port {port}")


@pytest.fixture
def knot(tmp_path):
    """A Knot for both zones, with the parent as given; gives its port."""
    running = []

    def start(parent=PARENT_ZONE, own=OWN_ZONE):
        port = free_port(DNS)
        running.append(Knot(tmp_path / "knot", {"example.test": parent, ZONE: own}, [DNS], port))
        return port

    yield start
    for server in running:
        server.close()


async def facts(plan, dns_port, https_port=1):
    return await look(plan, WANTED, (DNS, dns_port), lambda _: None, Ports(dns_port, https_port))


@needs_knot
async def test_records_and_ttls_are_those_of_the_names_own_servers(knot):
    seen = (await facts(Plan(NAME, ZONE, target=TARGET), knot())).today
    assert seen.records == {"A": Records(3600, (OLD,)), "TXT": Records(60, ('"hello"',))}
    assert (seen.zone, seen.addresses, seen.cached_ttl_s, seen.signed) == ("example.test", (OLD,), 3600, False)


@needs_knot
async def test_an_alias_and_a_zone_of_its_own_are_seen_as_such(knot):
    port = knot()
    alias = (await facts(Plan("www.example.test", ZONE), port)).today
    assert alias.records == {"CNAME": Records(60, (f"{NAME}.",))}
    assert alias.addresses == (OLD,)
    apex = (await facts(Plan(ZONE, ZONE), port)).today
    assert apex.zone == ZONE
    assert {"SOA", "NS"} <= set(apex.records)


@needs_knot
@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(NAME, ZONE, target=TARGET), CaaSeen("example.test", ((0, "issue", "ca.example.net"),))),
        (Plan(NAME, ZONE, target=f"guarded.{ZONE}"),
         CaaSeen(f"guarded.{ZONE}", ((128, "issue", "guard.example.net; accounturi=x"),))),
        (Plan(f"guarded.{ZONE}", ZONE, inside=True, target=f"guarded.{ZONE}"),
         CaaSeen("example.test", ((0, "issue", "ca.example.net"),))),
        (Plan("example.test", ZONE), None),
    ],
    ids=["above", "at-the-target", "not-at-the-name-itself", "none"],
)  # fmt: skip
async def test_the_caa_records_that_will_count(knot, plan, expected):
    assert (await facts(plan, knot())).caa == expected


@needs_knot
async def test_a_cutover_from_end_to_end(knot, tmp_path, web_server):
    """Everything real: first what is in the way, then nothing is."""
    dns_port = knot()
    pem, _ = made_certificate(tmp_path, NAME)
    https_port = await web_server(OLD, only(NAME), pem)
    edge_port = await web_server(EDGE, only("other"))
    plan = Plan(NAME, ZONE, target=TARGET, app="shop", hosts=(TARGET, NAME), edges=((EDGE, edge_port),), ttl_s=10)
    ask = (WANTED, (DNS, dns_port), lambda _: None, Ports(dns_port, https_port))
    _, found = await check_cutover(plan, *ask)
    assert [(f.severity, f.rule) for f in found] == [
        ("error", "old-ttl"), ("error", "hidden"), ("error", "edge-404"), ("error", "https-missing"), ("note", "caa-unknown"),
    ]  # fmt: skip


@needs_knot
async def test_a_name_that_is_ready_has_no_errors(knot, tmp_path, web_server):
    dns_port = knot(PARENT_ZONE.replace("shop 3600", "shop 60").replace('shop 60 TXT "hello"\n', ""))
    pem, _ = made_certificate(tmp_path, NAME)
    https_port = await web_server(OLD, only(NAME), pem)
    await web_server(EDGE, only(NAME), pem, https_port)
    edge_port = await web_server(EDGE, only(NAME))
    plan = Plan(NAME, ZONE, target=TARGET, app="shop", hosts=(TARGET, NAME), edges=((EDGE, edge_port),), ttl_s=10)
    seen, found = await check_cutover(plan, WANTED, (DNS, dns_port), lambda _: None, Ports(dns_port, https_port))
    assert [(f.severity, f.rule) for f in found] == [("note", "caa-unknown")]
    assert [c.address for c in (*seen.old_certificates, *seen.new_certificates)] == [OLD, EDGE]


async def test_a_name_whose_servers_are_silent_or_unknown_is_not_seen():
    port = free_port(DNS)

    def lame(query):
        rtype = query.question[0].rdtype.name
        name = query.question[0].name.to_text()
        known = {"NS": f"{name} 60 IN NS ns.example.test.", "A": f"{name} 60 IN A {DNS}"}
        return reply_to(query, answer=[known[rtype]] if rtype in known else [])

    with odd_server(DNS, port, lame):
        seen = await facts(Plan(NAME, ZONE), port)
    assert seen.today.zone == Failure("silent", f"no server of {NAME} answers for it")
    with odd_server(DNS, port, lambda query: reply_to(query, rcode=2)):
        seen = await facts(Plan(NAME, ZONE), port)
    assert seen.today.zone.why.endswith(f"answers SERVFAIL for the name servers of {NAME}")
