"""The query log as files and collectors get it: whole lines, moved files, collectors that come and go, and real readers of
dnstap (`dnstap-read`, `fstrm_capture`, `kdig`) where they are installed."""

import asyncio
import contextlib
import json
import os
import shutil
import stat
from ipaddress import ip_address
from types import SimpleNamespace

import dns.asyncquery
import dns.message
import pytest
import structlog.testing

from gslb.dns import native
from gslb.dns.compose import compose
from gslb.dns.dnstap import CONTENT_TYPE
from gslb.dns.native import choose
from gslb.dns.ratelimit import Limiter
from gslb.dns.responder import Responder
from gslb.dns.tables import Peer
from gslb.errors import HostError
from gslb.roles.answering.log_sinks import LogFile
from gslb.roles.answering.query_log import QueryLog
from gslb.roles.dns import DnsRole
from gslb.roles.settings import DnsSettings, Settings
from gslb.snapshot.types import LiveState
from tests.support import dnstap_reader
from tests.unit.dns.policies import APEX, app, snapshot, weighted

HOST = "127.0.7.18"
TIMEOUT_S = 5


def query(**more):
    return dns.message.make_query(f"shop.{APEX}", "A", **more)


@contextlib.asynccontextmanager
async def serving(tmp_path, **protocol):
    """A responder whose every query is logged, as the role puts both together; and its address."""
    given = DnsSettings(**{"log_sample": 1} | protocol)
    log = QueryLog(given)
    log.snapshot = snapshot({"shop": app("healthy", weighted("answer", dc=1, aws=1))})
    limiter = Limiter(given.rate_limit) if given.rate_limit else None
    responder = Responder(limiter=limiter, wire=choose(given.wire), sampler=log.sampler)
    await responder.open([(HOST, 0)])
    responder.publish(compose(log.snapshot, LiveState()))
    writing = asyncio.get_running_loop().create_task(log.run())
    try:
        yield SimpleNamespace(responder=responder, query_log=log), responder.addresses()[0]
    finally:
        writing.cancel()
        await responder.close()
        await log.close()


async def ask(address, message=None, transport=dns.asyncquery.udp):
    return await transport(message or query(), address[0], TIMEOUT_S, address[1])


async def until(condition):
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.01)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def addresses(message):
    return [rdata.address for rrset in message.answer for rdata in rrset]


@pytest.mark.parametrize("wire", ["python", *(["native"] if native.available() else [])])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_every_answer_that_left_is_told_as_it_was(tmp_path, wire, transport):
    """What was drawn by chance, above all."""
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file), wire=wire) as (role, address):
        told = [addresses(await ask(address, transport=getattr(dns.asyncquery, transport))) for _ in range(30)]
        await until(lambda: len(lines(file)) == 30)
        assert [line["drawn"]["addresses"] for line in lines(file)] == told
        assert {line["transport"] for line in lines(file)} == {transport}
        assert len({tuple(addresses) for addresses in told}) == 2
        assert role.responder.counts()["log_sampled"] == 30
        assert role.responder.counts()["log_dropped"] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("wire", ["python", *(["native"] if native.available() else [])])
async def test_one_in_so_many(tmp_path, wire):
    """Plain queries and others alike."""
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file), log_sample=10, wire=wire) as (role, address):
        for number in range(100):
            await ask(
                address, query(use_edns=0, payload=1232, options=[dns.edns.GenericOption(3, b"")] * (number % 3 == 0))
            )
        await until(lambda: len(lines(file)) == 10)
        counts = role.responder.counts()
        assert (counts["queries_udp"], counts["responses_noerror"], counts["log_sampled"]) == (100, 100, 10)


async def test_silence_is_not_logged(tmp_path):
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file)) as (role, address):
        assert role.responder.respond_and_sample(b"short", Peer(bytes(4)), 0.0) is None
        await ask(address)
        await until(lambda: len(lines(file)) == 1)


async def test_the_role_gives_it_what_it_needs(tmp_path):
    file = tmp_path / "queries"
    given = DnsSettings(log=str(file), log_sample=1)
    role = DnsRole(Settings(runtime=tmp_path, data=tmp_path, dns=((HOST, 0),), dns_protocol=given), tmp_path)
    shot = snapshot({})
    await role.publish(shot)
    await ask(role.responder.addresses()[0])
    await role.responder.close()
    await role.query_log.close()
    assert role.query_log.snapshot is shot
    assert [line["rcode"] for line in lines(file)] == ["NXDOMAIN"]


async def test_without_a_log_nothing_is_sampled(tmp_path):
    async with serving(tmp_path) as (role, address):
        await ask(address)
        assert role.query_log.sampler is None
        assert "log_sampled" not in role.responder.counts()


async def test_a_limited_reply_says_so(tmp_path):
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file), rate_limit=3) as (_, address):
        for _ in range(6):
            await ask(address)
        await until(lambda: len(lines(file)) == 6)
    assert [(line["limited"], line["flags"]) for line in lines(file)] == [(False, ["aa"])] * 3 + [(True, ["tc"])] * 3


@pytest.mark.parametrize(("full", "shown"), [(False, "127.0.7.0/24"), (True, "127.0.7.77")])
async def test_clients(tmp_path, full, shown):
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file), log_full_addresses=full) as (_, address):
        await dns.asyncquery.udp(query(), address[0], TIMEOUT_S, address[1], source="127.0.7.77")
        await until(lambda: lines(file))
    assert lines(file)[0]["client"] == shown


# Files ----------------------------------------------------------------------------------------------------------------


async def test_a_file_that_was_moved_or_deleted_is_begun_anew(tmp_path):
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file)) as (_, address):
        for moved in ("queries.1", "queries.2"):
            await ask(address)
            await until(lambda: len(lines(file)) == 1)
            file.rename(tmp_path / moved)
        await ask(address)
        await until(lambda: len(lines(file)) == 1)
        file.unlink()
        await ask(address)
        await until(lambda: len(lines(file)) == 1)
    assert len(lines(tmp_path / "queries.1")) == len(lines(tmp_path / "queries.2")) == 1


async def test_reopening_goes_on_with_the_same_file(tmp_path):
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file)) as (role, address):
        for _ in range(2):
            await ask(address)
            role.query_log.reopen()
        await until(lambda: len(lines(file)) == 2)


async def test_an_earlier_log_is_gone_on_with(tmp_path):
    file = tmp_path / "queries"
    for _ in range(2):
        async with serving(tmp_path, log=str(file)) as (_, address):
            await ask(address)
    assert len(lines(file)) == 2


@pytest.mark.parametrize("option", ["log", "log_dnstap"])
def test_a_file_that_cannot_be_written_is_an_error_at_start(tmp_path, option):
    with pytest.raises(HostError, match="name a file in a folder you may write"):
        QueryLog(DnsSettings(**{option: str(tmp_path / "missing" / "queries")}))


async def test_what_cannot_be_written_later_is_dropped_counted_and_told_once(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    file = folder / "queries"
    async with serving(tmp_path, log=str(file)) as (role, address):
        shutil.rmtree(folder)
        with structlog.testing.capture_logs() as logs:
            for number in (1, 2):
                await ask(address)
                await until(lambda number=number: role.responder.counts()["log_dropped"] == number)
        assert [log["event"] for log in logs] == ["the query log cannot be written: lines are dropped"]
        folder.mkdir()
        await ask(address)
        await until(lambda: len(lines(file)) == 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
async def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    file = tmp_path / "queries"
    sink = LogFile(file)
    await sink.write(b"first\n")
    write = os.write

    def full(handle, octets):
        if len(octets) > 3:
            return write(handle, octets[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        await sink.write(b"second")
    monkeypatch.undo()
    await sink.write(b"third\n")
    await sink.close()
    assert file.read_text() == "first\nthird\n"


async def test_stderr(tmp_path, capfd):
    async with serving(tmp_path, log="-") as (role, address):
        await ask(address)
        await until(lambda: role.responder.counts().get("log_sampled"))
    assert json.loads(capfd.readouterr().err)["app"] == "shop"


# dnstap ---------------------------------------------------------------------------------------------------------------


def whole(stream):
    """The messages of a stream that was ended."""
    first, *messages, last = dnstap_reader.frames(stream)
    assert (first, last) == (("START", [CONTENT_TYPE]), ("STOP", []))
    return [dnstap_reader.dnstap(message) for message in messages]


async def test_a_file_of_dnstap(tmp_path):
    file, tap = tmp_path / "queries", tmp_path / "tap"
    async with serving(tmp_path, log=str(file), log_dnstap=str(tap), identity="ns1") as (_, address):
        asked, reply = query(), await ask(address)
    asked_seen, told = whole(tap.read_bytes())
    assert dns.message.from_wire(asked_seen["message"]["query_message"]).question == asked.question
    assert dns.message.from_wire(told["message"]["response_message"]).answer == reply.answer
    assert json.loads(told["extra"]) == lines(file)[0]
    assert (told["identity"], told["version"].split()[0]) == (b"ns1", b"gslb")
    assert told["message"]["query_address"] == ip_address("127.0.0.0").packed


async def test_an_earlier_stream_is_kept_beside(tmp_path):
    tap = tmp_path / "tap"
    for _ in range(2):
        async with serving(tmp_path, log_dnstap=str(tap), log_full_addresses=True) as (_, address):
            await ask(address)
    assert len(whole(tap.read_bytes())) == len(whole((tmp_path / "tap.1").read_bytes())) == 2
    assert whole(tap.read_bytes())[0]["message"]["query_address"] == ip_address("127.0.0.1").packed


async def test_a_stream_that_is_moved_ends_and_another_begins(tmp_path):
    tap = tmp_path / "tap"
    async with serving(tmp_path, log_dnstap=str(tap)) as (_, address):
        for number in (1, 2):
            await ask(address)
            await until(lambda: tap.exists() and tap.stat().st_size > 200)
            tap.rename(tmp_path / f"moved.{number}")
        assert len(whole((tmp_path / "moved.1").read_bytes())) == 2


class Collected:
    """A collector on a unix socket that answers READY with `reply`; what it got, by connection."""

    def __init__(self, path, reply=b"\0\0\0\0\0\0\0\4\0\0\0\1", ready_bytes=42):
        self.path, self.reply, self.ready_bytes = path, reply, ready_bytes
        self.streams, self.writers = [], []

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.connected, self.path)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for writer in self.writers:
            writer.close()
        os.unlink(self.path)

    async def connected(self, reader, writer):
        self.writers.append(writer)
        ready = await reader.readexactly(self.ready_bytes)
        assert list(dnstap_reader.frames(ready)) == [("READY", [CONTENT_TYPE])]
        self.streams.append(b"")
        place = len(self.streams) - 1
        writer.write(self.reply)
        with contextlib.suppress(OSError):
            while octets := await reader.read(65536):
                self.streams[place] += octets
                if self.streams[place].endswith(b"\0\0\0\4\0\0\0\3"):
                    writer.write(b"\0\0\0\0\0\0\0\4\0\0\0\5")


async def test_a_collector_that_comes_goes_and_comes_back(tmp_path):
    path = tmp_path / "tap.sock"
    async with serving(tmp_path, log_dnstap=f"unix:{path}") as (role, address):
        await ask(address)
        await until(lambda: role.responder.counts()["log_dropped"] == 1)
        async with Collected(path) as first:
            await ask(address)
            await until(lambda: first.streams and len(first.streams[0]) > 200)
        async with Collected(path) as second:

            async def asking():
                while not (second.streams and len(second.streams[0]) > 200):
                    await ask(address)
                    await asyncio.sleep(0.05)

            await asyncio.wait_for(asking(), TIMEOUT_S)
            await role.query_log.close()
            await until(lambda: second.streams[0].endswith(b"\0\0\0\4\0\0\0\3"))
        assert len(whole(second.streams[0])) >= 2


@pytest.mark.parametrize(
    "reply",
    [b"\0\0\0\0\0\0\0\4\0\0\0\5", b"\0\0\0\1\0\0\0\4\0\0\0\1", b"\0\0\0\0\0\1\0\0", b"\0\0\0\0\0\0\0\x11\0\0\0\1\0\0\0\1\0\0\0\5other"],
    ids=["finish", "no escape", "too long", "another content"],
)  # fmt: skip
async def test_a_collector_of_something_else_gets_nothing(tmp_path, reply):
    path = tmp_path / "tap.sock"
    async with Collected(path, reply) as collector, serving(tmp_path, log_dnstap=f"unix:{path}") as (role, address):
        with structlog.testing.capture_logs() as logs:
            await ask(address)
            await until(lambda: role.responder.counts()["log_dropped"] == 1)
        assert logs[0]["why"] == "the collector does not take dnstap"
        assert set(collector.streams) == {b""}


async def test_a_collector_that_is_silent_holds_up_no_answer(tmp_path):
    path = tmp_path / "tap.sock"
    async with Collected(path, b"") as collector, serving(tmp_path, log_dnstap=f"unix:{path}") as (role, address):
        await ask(address)
        await until(lambda: collector.streams)
        assert addresses(await asyncio.wait_for(ask(address), 1))
        await until(lambda: role.responder.counts()["log_dropped"] >= 1)


async def run(*command, **more):
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, **more
    )
    return (await asyncio.wait_for(process.communicate(), TIMEOUT_S))[0].decode()


@pytest.mark.skipif(shutil.which("dnstap-read") is None, reason="needs dnstap-read: sh .ci/debian-packages")
async def test_dnstap_read_understands_a_file(tmp_path):
    tap = tmp_path / "tap"
    async with serving(tmp_path, log_dnstap=str(tap), identity="ns1") as (_, address):
        await ask(address)
        await ask(address, transport=dns.asyncquery.tcp)
    said = await run("dnstap-read", "-y", str(tap))
    assert [line.strip() for line in said.splitlines() if "type: AUTH" in line] == [
        "type: AUTH_QUERY", "type: AUTH_RESPONSE", "type: AUTH_QUERY", "type: AUTH_RESPONSE",
    ]  # fmt: skip
    assert said.count(f"shop.{APEX}. IN A") == 4
    assert said.count("socket_protocol: TCP") == 2
    assert said.count("identity: ns1") == 4
    assert "status: NOERROR" in said


@pytest.mark.skipif(shutil.which("fstrm_capture") is None, reason="needs fstrm_capture: sh .ci/debian-packages")
async def test_fstrm_capture_takes_what_is_sent_to_a_socket(tmp_path):
    path, tap = tmp_path / "tap.sock", tmp_path / "captured"
    process = await asyncio.create_subprocess_exec(
        "fstrm_capture", "-t", CONTENT_TYPE.decode(), "-u", str(path), "-w", str(tap),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(path.exists)
        async with serving(tmp_path, log_dnstap=f"unix:{path}") as (role, address):
            await ask(address)
            await asyncio.sleep(0.3)
            assert role.responder.counts()["log_dropped"] == 0
    finally:
        process.terminate()
        await process.wait()
    asked, told = whole(tap.read_bytes())
    assert (asked["message"]["type"], told["message"]["type"]) == (1, 2)
    assert json.loads(told["extra"])["app"] == "shop"


async def test_a_log_that_cannot_keep_up_drops_and_counts(tmp_path, monkeypatch):
    """The answers go on."""
    monkeypatch.setattr("gslb.dns.sampler._QUEUE_LIMIT", 3)
    monkeypatch.setattr("gslb.roles.answering.query_log.PAUSE_S", 60)
    file = tmp_path / "queries"
    async with serving(tmp_path, log=str(file)) as (role, address):
        for _ in range(5):
            assert addresses(await ask(address))
        counts = role.responder.counts()
        assert (counts["log_sampled"], counts["log_dropped"]) == (3, 2)
    assert len(lines(file)) == 3
