"""What stands on stderr is one object a line, whoever wrote it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SAYING = """
import asyncio, logging, threading, structlog
from gslb.roles import logs
logs.configure(FORMAT, "control")
structlog.get_logger().info("ours", n=1)
def fail():
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("aiohttp.server").exception("of a %s\\nin two lines", "library")
fail()
thread = threading.Thread(target=fail); thread.start(); thread.join()
logging.getLogger("quiet").info("not told")
async def main():
    asyncio.get_running_loop().call_exception_handler({"message": "of asyncio", "exception": ValueError("x")})
asyncio.run(main())
"""


def said(log_format):
    code = SAYING.replace("FORMAT", repr(log_format))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_one_object_a_line_also_of_libraries():
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"].split("\n")[0] for line in lines] == ["ours", "of a library", "of a library", "of asyncio"]
    assert all(line["role"] == "control" and line["timestamp"] and line["level"] for line in lines)
    assert [line.get("logger") for line in lines[1:]] == ["aiohttp.server", "aiohttp.server", "asyncio"]
    assert all("Error" in line["exception"] for line in lines[1:])


@pytest.mark.parametrize("word", ["ours", "of a library", "aiohttp.server", "ZeroDivisionError", "of asyncio"])
def test_for_people(word):
    assert word in said("text")
