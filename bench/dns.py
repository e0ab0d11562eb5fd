"""DNS over UDP: queries per second of the server's processor time, beside gdnsd, Knot, PowerDNS and a bare echo in C.

Every server runs with one worker on the first core, dnsperf on the second; servers that are not installed are left out.
What is needed, on Debian: dnsperf gdnsd knot pdns-server pdns-backend-bind.
"""

import contextlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import dns.edns
import dns.message

from bench.dns_servers import COOKIE_SECRET, NAME, NETWORKS, OWN_SERVERS, SERVERS, ZONE, Command
from bench.measure import cpu_s, spread
from gslb import clock
from gslb.dns.cookies import stamp

ROUNDS = 7
ROUND_S = 1.0
OUTSTANDING = 500
MANY = 20_000
SERVER_CORE, LOAD_CORE = 0, 1
HOST, CLIENT = "127.0.7.41", "127.0.0.1"
START_TIMEOUT_S = 120
REFERENCES = ("bare echo in C", "gdnsd, weighted", "PowerDNS, LUA weighted")


class Run(NamedTuple):
    """A server that runs, and what it is asked: length-prefixed packets."""

    pid: int
    port: int
    packets: bytes


def main() -> None:
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        folder.chmod(0o755)  # some servers give up root
        running = {name: _start(stack, folder, name, command) for name, command in SERVERS.items()}
        there = {name: place for name, place in running.items() if place}
        for what, packets in (("one steered name", _plain()), ("random names that do not exist", _missing())):
            runs = {name: Run(*place, packets) for name, place in there.items()}
            _compare(folder, what, runs, REFERENCES)
        _compare_own(folder, stack)


def _compare_own(folder: Path, stack: contextlib.ExitStack) -> None:
    """What options, signatures and threads cost beside a plain answer of the native wire."""
    places = {}
    for name, command in OWN_SERVERS.items():
        core = "0,1" if name == "two threads" else SERVER_CORE
        places[name] = _start(stack, folder, f"gslb, {name}", command, core)
    asked = {
        "plain": ("plain", _plain()),
        "a good cookie": ("plain", _packets([{"options": [_cookie()]}])),
        f"a subnet, {NETWORKS:,} networks": ("networks", _packets(_subnets())),
        "signed, DO": ("signed", _packets([{"want_dnssec": True}])),
        "signed, random names, DO": ("signed", _missing(want_dnssec=True)),
    }
    runs = {what: Run(*places[name], packets) for what, (name, packets) in asked.items()}
    _compare(folder, "gslb, native, by kind of query", runs, ("plain",))
    runs = {name: Run(*places[name], _plain()) for name in ("plain", "event loop", "two threads")}
    _compare(folder, "gslb, native, by who serves, eight clients", runs, ("plain",), clients=8)


def _packets(queries: list[dict[str, object]], names: Sequence[str] = (NAME,)) -> bytes:
    """What dnsperf reads with -B."""
    made = []
    for place in range(max(len(queries), len(names))):
        more, name = queries[place % len(queries)], names[place % len(names)]
        wire = dns.message.make_query(f"{name}.{ZONE}", "A", **more).to_wire()
        made.append(len(wire).to_bytes(2) + wire)
    return b"".join(made)


def _plain() -> bytes:
    return _packets([{}])


def _missing(**more: object) -> bytes:
    numbers = random.Random(1)
    return _packets([more], [f"x{numbers.getrandbits(64):x}" for _ in range(MANY)])


def _cookie() -> dns.edns.Option:
    made = stamp((COOKIE_SECRET,), bytes(8), socket.inet_aton(CLIENT), clock.wall_s())
    return dns.edns.GenericOption(10, made.cookie)


def _subnets() -> list[dict[str, object]]:
    """Half of them in one of the networks, as the networks' own numbers are drawn."""
    numbers = random.Random(2)
    known = random.Random(1).sample(range(1 << 24), NETWORKS)
    starts = [numbers.choice((numbers.getrandbits(24), numbers.choice(known))) for _ in range(MANY)]
    return [{"options": [dns.edns.GenericOption(8, b"\0\1\x18\0" + start.to_bytes(3))]} for start in starts]


def _compare(folder: Path, what: str, runs: dict[str, Run], references: Sequence[str], clients: int = 1) -> None:
    rates: dict[str, list[float]] = {name: [] for name in runs}
    queries = folder / "queries"
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            queries.write_bytes(run.packets)
            before = cpu_s(run.pid)
            answered = _dnsperf(queries, run.port, clients)
            if number:  # the first round warms up
                rates[name].append(answered / (cpu_s(run.pid) - before))
    print(f"\n{what}: queries per second of processor time, median of {ROUNDS} (min to max)")
    for name, values in rates.items():
        middle = statistics.median(values)
        ratios = [
            f"{spread([ours / theirs for ours, theirs in zip(values, rates[other], strict=True)])} of {other}"
            for other in references
            if other in rates and other != name
        ]
        print(f"{name:<32} {middle:>9,.0f} ({min(values):,.0f} to {max(values):,.0f})   {'; '.join(ratios)}")


def _dnsperf(queries: Path, port: int, clients: int) -> int:
    """How many queries were answered."""
    command = [
        "taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", HOST, "-p", str(port), "-a", CLIENT, "-B", "-d", str(queries),
        "-l", str(ROUND_S), "-q", str(OUTSTANDING), "-c", str(clients), "-T", "1", "-t", "1",
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Queries completed:\s+(\d+)", out)[1])


def _start(
    stack: contextlib.ExitStack, folder: Path, name: str, command_of: Command, core: int | str = SERVER_CORE
) -> tuple[int, int] | None:
    """The process id and the port; None where it is not installed."""
    own = folder / name.replace(" ", "-").replace(",", "")
    own.mkdir(mode=0o755)
    port = _free_port()
    command = command_of(own, HOST, port)
    if shutil.which(command[0]) is None:
        print(f"{name}: {command[0]} is not installed, left out")
        return None
    return stack.enter_context(_started(command, port, core)), port


@contextlib.contextmanager
def _started(command: list[str], port: int, core: int | str) -> Iterator[int]:
    """The process id, once it answers."""
    pinned = ["taskset", "-c", str(core), *command]
    process = subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(process, port)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in f"{NAME}.{ZONE}".split("."))
    query = b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    deadline_s = clock.mono_s() + START_TIMEOUT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        while clock.mono_s() < deadline_s and process.poll() is None:
            with contextlib.suppress(OSError):
                sock.sendto(query, (HOST, port))
                if sock.recv(512)[2] & 0x80:
                    return
            time.sleep(0.1)
    raise SystemExit(f"{process.args} does not answer")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


if __name__ == "__main__":
    main()
