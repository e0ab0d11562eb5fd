"""HTTP and HTTPS against servers on loopback; the server's TLS is OpenSSL's."""

import pytest

from gslb.errors import HostError
from gslb.health.checks.tools import Tools
from gslb.health.target import Result
from gslb.snapshot.checks import HttpExpect, Tls
from tests.support.authority import Authority
from tests.unit.health.checks.peers import HOST, found, free_port, http, saying, server, silence, tls_server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nx-role: Primary\r\n\r\nlag: 7 \xc3\xa9 s"


async def asked(data, **options):
    heads = []
    async with server(saying(data, heads)) as port:
        return await found(http(f"http://{HOST}:{port}/primary?a=%2F1", **options)), heads


async def test_status_200_and_what_is_sent():
    result, (head,) = await asked(OK, headers=(("x-a", "b"),), host="shop.example.com")
    assert result == Result(True, "db: 200")
    lines = head.split("\r\n")
    assert lines[0] == "GET /primary?a=%2F1 HTTP/1.1"
    assert {"host: shop.example.com", "x-a: b", "user-agent: gslb-probe", "connection: close"} <= set(lines)


@pytest.mark.parametrize(
    ("expect", "ok", "reason"),
    [
        (HttpExpect(status=((201, 299),)), False, "db: 200"),
        (HttpExpect(status=((404, 404), (100, 200))), True, "db: 200"),
        (HttpExpect(headers=(("x-role", "Primary"),)), True, "db: 200"),
        (HttpExpect(headers=(("x-role", "primary"),)), False, "db: 200, x-role is Primary"),
        (HttpExpect(headers=(("x-lag", "0"),)), False, "db: 200, without x-lag"),
        (HttpExpect(body="lag: 7 é"), True, "db: 200"),
        (HttpExpect(body="lag: 8"), False, "db: 200, without 'lag: 8' in its body"),
        (HttpExpect(regex=r"lag: [0-9]\b"), True, "db: 200"),
        (HttpExpect(regex="lag: [^7]"), False, "db: 200, nothing in its body fits 'lag: [^7]'"),
        (HttpExpect(headers=(("x-role", "Primary"),), body="lag"), True, "db: 200"),
    ],
)
async def test_what_is_expected(expect, ok, reason):
    assert (await asked(OK, expect=expect))[0] == Result(ok, reason)


@pytest.mark.parametrize("expect", [HttpExpect(), HttpExpect(body="x")], ids=["head", "body"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 302 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", "db: 302"),
        (b"", "db: closed without an answer"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "db: the answer is not HTTP, or its head is too large"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, "db: the answer is not HTTP, or its head is too large"),
    ],
    ids=["redirect", "nothing", "smtp", "huge"],
)
async def test_other_answers(data, reason, expect):
    assert (await asked(data, expect=expect))[0] == Result(False, reason)


async def test_a_body_is_looked_at_in_chunks_and_only_its_beginning():
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nlag\r\n4\r\n: 78\r\n0\r\n\r\n"
    assert (await asked(chunked, expect=HttpExpect(body="lag: 78")))[0].ok
    late = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 65_536 + b"late"
    assert not (await asked(late, expect=HttpExpect(body="late")))[0].ok
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n" + b"found" + b" " * 70_000
    assert (await asked(endless, expect=HttpExpect(body="found")))[0].ok


async def test_nobody_and_silence():
    assert await found(http(f"http://{HOST}:{free_port()}/")) == Result(False, "db: connect refused")
    async with server(silence) as port:
        result = await found(http(f"http://{HOST}:{port}/"), timeout_s=0.1)
    assert result == Result(False, "db: timeout after 0.1 s")


async def test_a_name_that_does_not_exist():
    try:
        result = await found(http("http://no-such-name.invalid/"))
    except HostError:
        pytest.skip("this machine has no resolver, which says nothing of the name")
    assert not result.ok


async def test_inverted():
    result, _ = await asked(OK, expect=HttpExpect(status=((503, 503),)))
    assert not result.ok
    async with server(saying(OK)) as port:
        inverted = await found(http(f"http://{HOST}:{port}/"), invert=True)
    assert inverted == Result(False, "db: 200, inverted")


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("secrets"))
    for name in ("server", "client"):
        certificate, key = made.issue(name, HOST)
        (made.folder / f"{name}-both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    return made


def files(authority, name="server"):
    return authority.folder / f"{name}.pem", authority.folder / f"{name}.key"


@pytest.mark.parametrize("expect", [HttpExpect(), HttpExpect(body="lag")], ids=["head", "body"])
async def test_https_with_an_own_authority(authority, expect):
    tools = Tools(secrets=authority.folder)
    async with server(saying(OK), tls_server(*files(authority))) as port:
        url = f"https://{HOST}:{port}/"
        assert (await found(http(url, tls=Tls(ca="ca.pem"), expect=expect), tools)).ok
        unknown = await found(http(url, expect=expect), tools)
        assert unknown.reason == "db: certificate: unable to get local issuer certificate"
        other = await found(http(url, tls=Tls(ca="ca.pem", sni="shop.example.com"), expect=expect), tools)
        assert (other.ok, other.reason.partition(": ")[2][:30]) == (False, "certificate: Hostname mismatch")


async def test_a_client_certificate_is_shown_where_one_is_given(authority):
    tools = Tools(secrets=authority.folder)
    context = tls_server(*files(authority), ca=authority.ca)
    async with server(saying(OK), context) as port:
        url = f"https://{HOST}:{port}/"
        assert (await found(http(url, tls=Tls(ca="ca.pem", client="client-both.pem")), tools)).ok
        assert not (await found(http(url, tls=Tls(ca="ca.pem")), tools)).ok


async def test_plain_http_where_tls_is_expected(authority):
    async with server(saying(OK)) as port:
        result = await found(http(f"https://{HOST}:{port}/", tls=Tls(ca="ca.pem")), Tools(secrets=authority.folder))
    assert not result.ok
    assert result.reason.startswith("db: ")


async def test_a_bearer_token_comes_from_its_file_and_stands_in_no_reason(tmp_path):
    (tmp_path / "api.token").write_text("s3cret\n")
    heads = []
    async with server(saying(b"HTTP/1.1 401 X\r\n\r\n", heads)) as port:
        result = await found(http(f"http://{HOST}:{port}/", bearer="api.token"), Tools(secrets=tmp_path))
    assert "authorization: Bearer s3cret\r\n" in heads[0]
    assert result == Result(False, "db: 401")


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        (Tls(ca="missing.pem"), "there is no file missing.pem"),
        (Tls(ca="broken.pem"), "broken.pem cannot be used"),
        (Tls(client="broken.pem"), "broken.pem cannot be used"),
        (Tls(ca="../ca.pem"), "there is no file ../ca.pem"),
    ],
)
async def test_a_file_that_cannot_be_used_says_nothing_about_the_other_side(tmp_path, tls, words):
    (tmp_path / "inside").mkdir()
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "inside" / "broken.pem").write_text("x")
    with pytest.raises(HostError, match=words):
        await found(http("https://192.0.2.1/", tls=tls), Tools(secrets=tmp_path / "inside"))


async def test_without_a_folder_of_secrets():
    with pytest.raises(HostError, match="--check-secrets"):
        await found(http("https://192.0.2.1/", tls=Tls(ca="ca.pem")))


async def test_a_renewed_authority_is_taken_up(authority, tmp_path):
    import os

    stranger = Authority(tmp_path / "stranger")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(stranger.ca.read_bytes())
    tools = Tools(secrets=folder)
    async with server(saying(OK), tls_server(*files(authority))) as port:
        ask = http(f"https://{HOST}:{port}/", tls=Tls(ca="ca.pem"))
        assert not (await found(ask, tools)).ok
        (folder / "ca.pem").write_bytes(authority.ca.read_bytes())
        os.utime(folder / "ca.pem", ns=(1, 1))
        assert (await found(ask, tools)).ok
        assert len(tools._contexts) == 1
