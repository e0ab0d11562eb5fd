"""The API beyond loopback: TLS, and a token for everything. The command line as its client."""

from __future__ import annotations

import asyncio
import ssl
import threading

import aiohttp
import pytest

from gslb.cli.main import run
from gslb.control.http.access import NEEDS
from gslb.control.http.api import build_app
from gslb.control.http.client import Client
from gslb.control.http.routes import TABLE
from gslb.errors import HostError, RefusedError
from gslb.roles import api_listener
from gslb.roles.api_listener import Certificate, open_api, serve_tcp
from gslb.roles.settings import Settings
from tests.api.conftest import SECRETS, bearer, make_certificate
from tests.api.test_who_may import problem


def settings(tmp_path, **given):
    return Settings(runtime=tmp_path, data=tmp_path, **given)


@pytest.fixture
def guarded(publisher, certificate):
    """The URL of a guarded API, in a thread of its own, for what calls it synchronously."""
    began, ended = threading.Event(), []

    async def serve():
        listener = await serve_tcp(build_app(publisher, "guarded"), "127.0.7.2", 0, Certificate(*certificate).context)
        stop = asyncio.Event()
        ended.extend([listener.address[1], asyncio.get_running_loop(), stop])
        began.set()
        await stop.wait()
        await listener.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert began.wait(10)
    port, loop, stop = ended
    yield f"https://127.0.7.2:{port}"
    loop.call_soon_threadsafe(stop.set)
    thread.join()


CLOSED = [line for line in TABLE if not NEEDS[f"{line.method} {line.path}"].open]


@pytest.mark.parametrize("line", CLOSED, ids=lambda line: f"{line.method} {line.path}")
async def test_nothing_is_told_without_a_token(guarded, trusting, line):
    path = line.path.format(app="shop", route="pay", site="dc", name="viewer", backend="checkout")
    async with aiohttp.ClientSession(guarded) as session:
        await problem(await session.request(line.method, path, ssl=trusting), 401, "no-token")


async def test_a_token_opens_it_and_a_wrong_one_does_not(guarded, trusting):
    async with aiohttp.ClientSession(guarded) as session:
        assert (await session.get("/v1/status", ssl=trusting, headers=bearer("viewer"))).status == 200
        wrong = {"Authorization": "Bearer gslb_" + "1" * 43}
        await problem(await session.get("/v1/status", ssl=trusting, headers=wrong), 401, "token")
        await problem(await session.get("/nothing", ssl=trusting), 401, "no-token")


async def test_without_tls_nobody_is_understood(guarded):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(guarded.replace("https", "http") + "/healthz")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
async def test_it_does_not_open_to_elsewhere_without_tls(publisher, tmp_path, host):
    with pytest.raises(RefusedError, match="api-open"):
        await open_api(publisher, settings(tmp_path, api=(host, 0)))


async def test_loopback_stays_open_for_reading_with_tls_too(publisher, tmp_path, certificate, trusting):
    where = {"api": ("127.0.7.2", 0), "api_cert": certificate[0], "api_key": certificate[1]}
    listener = await open_api(publisher, settings(tmp_path, **where))
    async with aiohttp.ClientSession(f"https://127.0.7.2:{listener.address[1]}") as session:
        assert (await session.get("/v1/status", ssl=trusting)).status == 200
        assert (await session.post("/v1/drains", json={"site": "dc"}, ssl=trusting)).status == 401
    await listener.cleanup()


@pytest.mark.parametrize("broken", ["missing", "swapped", "text"])
async def test_a_certificate_that_cannot_be_used(publisher, tmp_path, certificate, broken):
    text = tmp_path / "text"
    text.write_text("nothing")
    cert, key = {"missing": (tmp_path / "x", text), "swapped": certificate[::-1], "text": (text, text)}[broken]
    with pytest.raises(HostError, match="cannot be used") as caught:
        await open_api(publisher, settings(tmp_path, api=("127.0.7.2", 0), api_cert=cert, api_key=key))
    assert "--api-cert" in caught.value.remedy


async def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(publisher, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(api_listener, "RENEW_S", 0.01)
    where = {"api": ("127.0.7.2", 0), "api_cert": tmp_path / "api.pem", "api_key": tmp_path / "api.key"}
    old, renewed = make_certificate(tmp_path), make_certificate(tmp_path / "new")
    old = ssl.create_default_context(cafile=old[0])
    listener = await open_api(publisher, settings(tmp_path, **where))
    url = f"https://127.0.7.2:{listener.address[1]}/healthz"
    following = asyncio.get_running_loop().create_task(listener.follow_certificate())

    async def trusts(context):
        async with aiohttp.ClientSession() as session:
            try:
                return (await session.get(url, ssl=context)).status == 200
            except aiohttp.ClientError:
                return False

    async def until(condition):
        async with asyncio.timeout(10):
            while not await condition():
                await asyncio.sleep(0.01)

    assert await trusts(old)
    said = []
    where["api_cert"].write_text("broken")

    async def is_told():
        said.append(capsys.readouterr().out)
        return "keeps its old certificate" in "".join(said)

    await until(is_told)
    assert await trusts(old)
    for file in renewed:
        file.replace(tmp_path / file.name)
    await until(lambda: trusts(ssl.create_default_context(cafile=where["api_cert"])))
    assert not await trusts(old)
    following.cancel()
    await listener.cleanup()


async def test_an_address_that_is_taken(publisher, tmp_path, address):
    with pytest.raises(HostError, match="cannot listen") as caught:
        await open_api(publisher, settings(tmp_path, api=address))
    assert "ss -ltnp" in caught.value.remedy


# The command line -------------------------------------------------------------------------------------------------------


@pytest.fixture
def gslb(guarded, certificate, monkeypatch, capsys):
    """Runs one command line against the guarded API: (exit code, stdout, stderr)."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.setenv("GSLB_SERVER", guarded)
    monkeypatch.setenv("GSLB_TOKEN", SECRETS["admin"])

    def command(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    return command


def test_a_token_from_the_environment_or_a_file(gslb, monkeypatch, tmp_path):
    assert gslb("status --json")[0] == 0
    monkeypatch.setenv("GSLB_TOKEN", SECRETS["viewer"])
    code, _, err = gslb("drain dc")
    assert (code, "[role] the token viewer has the role viewer" in err) == (1, True)
    file = tmp_path / "token"
    file.write_text(SECRETS["operator"] + "\n")
    file.chmod(0o600)
    assert gslb(f"drain dc --token-file {file}")[0] == 0
    file.chmod(0o640)
    code, _, err = gslb(f"undrain dc --token-file {file}")
    assert (code, "chmod 600" in err) == (2, True)
    assert gslb(f"status --token-file {tmp_path / 'none'}")[0] == 2
    monkeypatch.delenv("GSLB_TOKEN")
    code, _, err = gslb("history")
    assert (code, "[no-token]" in err) == (1, True)


def test_tokens_are_made_listed_and_revoked(gslb, monkeypatch):
    code, out, err = gslb("token create deploy --role operator --app shop --for 1h --reason try")
    assert code == 0
    assert "gslb token revoke deploy" in err
    assert [line for line in out.splitlines() if line.startswith("gslb_")] == [out.splitlines()[-1]]
    monkeypatch.setenv("GSLB_TOKEN", out.splitlines()[-1])
    assert gslb("drain dc --app shop")[0] == 0
    assert gslb("drain dc")[0] == 1
    monkeypatch.setenv("GSLB_TOKEN", SECRETS["admin"])
    code, shown, _ = gslb("token list")
    assert (code, "deploy" in shown, "shop" in shown) == (0, True, True)
    assert out.splitlines()[-1] not in shown + gslb("token list --json")[1] + gslb("history --json")[1]
    assert gslb("token revoke deploy")[0] == 0
    assert gslb("token revoke deploy")[0] == 1
    assert gslb("token create x --role viewer --app shop")[0] == 1


def test_a_certificate_that_nobody_vouches_for(gslb, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    code, _, err = gslb("status")
    assert (code, "is not trusted" in err, "SSL_CERT_FILE" in err) == (2, True, True)


@pytest.mark.parametrize(
    ("server", "token", "words"),
    [
        ("http://192.0.2.1:8053", SECRETS["admin"], "in the clear"),
        ("https://127.0.7.2:1", "two\nlines", "no token"),
        ("https://127.0.7.2:1", "ö", "no token"),
    ],
)
def test_a_token_goes_nowhere_in_the_clear(server, token, words):
    with pytest.raises(HostError, match=words) as caught:
        Client(server, token).get("/v1/status")
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ("--api 0.0.0.0:8053", 1, "[api-open]"),
        ("--api 0.0.0.0:8053 --api-cert /x", 2, "belong together"),
        ("--api-key /x", 2, "belong together"),
    ],
)
def test_run_refuses_what_would_be_open(capsys, tmp_path, options, code, words):
    line = f"run {tmp_path} --data {tmp_path} --runtime {tmp_path} {options}"
    assert run(line.split()) == code
    assert words in capsys.readouterr().err
