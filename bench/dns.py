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
from collections.abc import Iterator
from pathlib import Path

from bench.dns_servers import NAME, SERVERS, ZONE
from bench.measure import cpu_s, spread
from gslb import clock

ROUNDS = 7
ROUND_S = 1.0
OUTSTANDING = 500
MISSING_NAMES = 20_000
SERVER_CORE, LOAD_CORE = 0, 1
HOST = "127.0.7.41"
START_TIMEOUT_S = 20
REFERENCES = ("bare echo in C", "gdnsd, weighted", "PowerDNS, LUA weighted")


def main() -> None:
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        folder.chmod(0o755)  # some servers give up root
        running = {}
        for place, (name, command_of) in enumerate(SERVERS.items()):
            own = folder / str(place)
            own.mkdir(mode=0o755)
            port = _free_port()
            command = command_of(own, HOST, port)
            if shutil.which(command[0]) is None:
                print(f"{name}: {command[0]} is not installed, left out")
                continue
            running[name] = (stack.enter_context(_started(command, port)), port)
        for what, questions in _workloads().items():
            queries = folder / "queries"
            queries.write_text(questions)
            _compare(what, running, queries)


def _workloads() -> dict[str, str]:
    numbers = random.Random(1)
    missing = "".join(f"x{numbers.getrandbits(64):x}.{ZONE} A\n" for _ in range(MISSING_NAMES))
    return {"one steered name": f"{NAME}.{ZONE} A\n", "random names that do not exist": missing}


def _compare(what: str, running: dict[str, tuple[int, int]], queries: Path) -> None:
    rates: dict[str, list[float]] = {name: [] for name in running}
    for number in range(ROUNDS + 1):
        for name, (pid, port) in running.items():
            before = cpu_s(pid)
            answered = _dnsperf(queries, port)
            if number:  # the first round warms up
                rates[name].append(answered / (cpu_s(pid) - before))
    print(f"\n{what}: queries per second of processor time, median of {ROUNDS} (min to max)")
    for name, values in rates.items():
        middle = statistics.median(values)
        ratios = [
            f"{spread([ours / theirs for ours, theirs in zip(values, rates[other], strict=True)])} of {other}"
            for other in REFERENCES
            if other in rates and other != name
        ]
        print(f"{name:<26} {middle:>9,.0f} ({min(values):,.0f} to {max(values):,.0f})   {'; '.join(ratios)}")


def _dnsperf(queries: Path, port: int) -> int:
    """How many queries were answered."""
    command = [
        "taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", HOST, "-p", str(port), "-d", str(queries),
        "-l", str(ROUND_S), "-q", str(OUTSTANDING), "-c", "1", "-T", "1", "-t", "1",
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Queries completed:\s+(\d+)", out)[1])


@contextlib.contextmanager
def _started(command: list[str], port: int) -> Iterator[int]:
    """The process id, once it answers."""
    pinned = ["taskset", "-c", str(SERVER_CORE), *command]
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
