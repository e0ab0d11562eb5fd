"""Commands and pushed states, Prometheus's answers."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from gslb.errors import HostError
from gslb.health.checks.prometheus import samples
from gslb.health.checks.tools import PushedState, Tools
from gslb.health.target import Result, Unknown
from gslb.snapshot.checks import CommandAsk, PrometheusAsk, PushedAsk, Tls
from tests.unit.health.checks.peers import HOST, found, saying, server

# Commands -------------------------------------------------------------------------------------------------------------


def script(folder, text, name="check_it", mode=0o755):
    file = folder / name
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(mode)
    return Tools(commands=folder)


async def run(tools, *argv, **options):
    return await found(CommandAsk(("check_it", *argv)), tools, **options)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("echo 'OK - lag 3 s|lag=3s;10;30'; echo more", Result(True, "db: OK - lag 3 s (exit status 0)")),
        ("echo WARNING; exit 1", Result(True, "db: WARNING (exit status 1)", warning=True)),
        ("echo CRITICAL >&2; exit 2", Result(False, "db: CRITICAL (exit status 2)")),
        ("exit 3", Result(False, "db: exit status 3")),
        ("kill -9 $$", Result(False, "db: ended by signal 9")),
        (r"printf 'a\033[31mb\n'", Result(True, "db: a?[31mb (exit status 0)")),
    ],
)
async def test_exit_status_and_first_line(tmp_path, text, result):
    assert await run(script(tmp_path, text)) == result


async def test_arguments_are_handed_over_as_they_are_and_the_environment_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("GSLB_TOKEN", "s3cret")
    result = await run(script(tmp_path, 'echo "$#:$1:$2:$GSLB_CHECK:$GSLB_TOKEN"'), "a b; rm -rf $HOME", "*")
    assert result.reason == "db: 2:a b; rm -rf $HOME:*:db: (exit status 0)"


async def test_a_timeout_ends_the_command_and_all_that_it_started(tmp_path):
    pids = tmp_path / "pids"
    text = f"sleep 300 & echo $! > {pids}; echo $$ >> {pids}; wait"
    result = await run(script(tmp_path, text), timeout_s=0.5)
    assert result == Result(False, "db: timeout after 0.5 s")
    for pid in map(int, pids.read_text().split()):
        assert await gone(pid)


async def gone(pid):
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_a_command_leaves_behind_ends_with_it(tmp_path):
    pids = tmp_path / "pids"
    result = await run(script(tmp_path, f"sleep 300 & echo $! > {pids}; echo done"))
    assert result == Result(True, "db: done (exit status 0)")
    assert await gone(int(pids.read_text()))


async def test_an_endless_output_is_neither_kept_nor_waited_for(tmp_path):
    tools = script(tmp_path, "head -c 50000000 /dev/zero | tr '\\0' a; echo; exit 0")
    result = await run(tools, timeout_s=30.0)
    assert result.ok
    assert len(result.reason) < 200


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.chmod(0o644), "cannot be run"),
        (lambda file: file.chmod(0o777), "others may write"),
        (lambda file: file.unlink(), "there is no file check_it"),
        (lambda file: file.write_text("no first line\n"), "cannot be started"),
    ],
)
async def test_what_may_not_or_cannot_be_run_says_nothing_about_the_target(tmp_path, spoil, words):
    tools = script(tmp_path, "exit 0")
    spoil(tmp_path / "check_it")
    with pytest.raises(HostError, match=words):
        await run(tools)


async def test_without_a_folder_nothing_is_run():
    with pytest.raises(HostError, match="--check-commands"):
        await run(Tools())


async def test_no_descriptor_is_left_behind(tmp_path):
    tools = script(tmp_path, "echo x")
    await run(tools)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await run(tools)
    assert len(os.listdir("/proc/self/fd")) <= before


# Pushed ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now_s", "then", "expected"),
    [
        (99.0, "unknown", Result(False, "db: nightly load")),
        (100.0, "unknown", Unknown("db: nothing was pushed for 1m")),
        (100.0, "down", Result(False, "db: nothing was pushed for 1m")),
    ],
)
async def test_a_pushed_state_holds_until_it_is_out_of_date(now_s, then, expected):
    tools = Tools(pushed={"db": PushedState(False, "nightly load", 100.0)}, mono_s=lambda: now_s)
    assert await found(PushedAsk(60.0, then), tools) == expected


async def test_what_was_never_pushed():
    assert await found(PushedAsk(60.0, "unknown")) == Unknown("db: nothing was pushed for 1m")


# Prometheus -----------------------------------------------------------------------------------------------------------


def answer(result, kind="vector"):
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def vector(*values):
    return answer([
        {"metric": {"__name__": "lag", "instance": f"db-{n}"}, "value": [1e9, v]} for n, v in enumerate(values)
    ])  # fmt: skip


async def asked(body, sign="<", number=30.0, status=b"200 OK"):
    heads = []
    data = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)
    async with server(saying(data, heads)) as port:
        ask = PrometheusAsk(f"http://{HOST}:{port}/prom/", "max(lag) > 0", sign, number, Tls(), None)
        result = await found(ask)
    assert heads[0].startswith("GET /prom/api/v1/query?query=max%28lag%29+%3E+0 HTTP/1.1\r\n")
    return result


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (vector("3.5"), Result(True, "db: 3.5, < 30")),
        (vector("3", "4"), Result(True, "db: 2 samples, < 30")),
        (vector("3", "40"), Result(False, 'db: 40 {instance="db-1"}, not < 30')),
        (vector(*["99"] * 5).replace(b"lag", b"x"), None),
        (vector("NaN"), Result(False, 'db: nan {instance="db-0"}, not < 30')),
        (vector("+Inf"), Result(False, 'db: inf {instance="db-0"}, not < 30')),
        (answer([1e9, "7"], "scalar"), Result(True, "db: 7, < 30")),
        (vector(), Result(False, "db: the query gives no sample")),
        (answer([], "matrix"), Result(False, "db: the query gives a matrix, not a vector or scalar")),
        (b'{"status":"error","errorType":"bad_data","error":"parse error"}',
         Result(False, "db: the query fails: parse error")),
        (b"<html>", Result(False, "db: the answer is not Prometheus's")),
        (b"[]", Result(False, "db: the answer is not Prometheus's")),
        (b'{"status":"success","data":{"resultType":"vector","result":[{}]}}',
         Result(False, "db: the answer is not Prometheus's")),
    ],
)  # fmt: skip
async def test_every_sample_must_compare(body, expected):
    result = await asked(body)
    if expected is None:
        assert result.reason.endswith(" and 2 more, not < 30")
    else:
        assert result == expected


@pytest.mark.parametrize(
    ("sign", "value", "ok"),
    [("<=", "30", True), (">", "30", False), (">=", "30", True), ("==", "30", True), ("!=", "30", False)],
)
async def test_signs(sign, value, ok):
    assert (await asked(vector(value), sign)).ok == ok


async def test_a_server_that_refuses():
    result = await asked(b"no", status=b"503 X")
    assert result == Result(False, "db: the answer is not Prometheus's (HTTP status 503)")


def test_no_label_is_needed():
    assert list(samples(answer([{"metric": {}, "value": [1, "2"]}]))) == [("", 2.0)]
