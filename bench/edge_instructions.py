"""What a request costs at the edge in instructions of Envoy (user space), ours beside Envoy by hand: `bench/edge_peers`
counted instead of timed, so that other work on the machine disturbs little.

`python -m bench.edge_instructions [REQUESTS]`, under valgrind (Debian: valgrind, nginx-light). One connection asks, one
request after the other; health checks are taken out at both, and what Envoy does while nobody asks is taken off.
"""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from bench.edge_peers import PEERS, moved, without_mirror
from bench.proxies import HOST, PORT, Stage, rendered, stage
from gslb import clock
from gslb.edge.process import find_envoy

_REQUEST = f"GET /some/path?x=1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
_WARM = 700
_ROUNDS = 3
_IDLE_S = 3.0
_STARTS_S = 180.0


def main(requests: int = 1000) -> None:
    with stage() as made:
        text = (PEERS / "policy.yaml").read_text()
        plain = "\n".join(line for line in text.splitlines() if "mirror:" not in line)
        by_hand = yaml.safe_load((PEERS / "envoy.yaml").read_text())
        rows = (
            ("no mirror", rendered(made.folder, plain), without_mirror(moved(by_hand, "127.0.8.2"))),
            ("mirror 10 %", rendered(made.folder, text), by_hand),
        )
        print("| | ours | by hand | ratio |")
        print("| --- | --- | --- | --- |")
        for name, *configs in rows:
            ours, hand = (counted(made, config, requests) for config in configs)
            print(f"| {name} | {ours:,.0f} | {hand:,.0f} | {ours / hand:.3f} |", flush=True)


def counted(made: Stage, config: dict[str, Any], requests: int) -> float:
    """Instructions for a request: the median of the rounds."""
    address = config["static_resources"]["listeners"][0]["address"]["socket_address"]["address"]
    output = made.folder / f"callgrind-{len(list(made.folder.iterdir()))}"
    file = output.with_suffix(".json")
    file.write_text(json.dumps(quiet(config)))
    arguments = ["-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
    command = [
        "valgrind",
        "-q",
        "--tool=callgrind",
        f"--callgrind-out-file={output}",
        str(find_envoy(None)),
        *arguments,
    ]
    with subprocess.Popen(command) as process:
        try:
            with connected(address) as connection:
                ask(connection, _WARM)
                dumped = Dumps(process.pid, output)
                return sorted(of_a_request(connection, dumped, requests) for _ in range(_ROUNDS))[_ROUNDS // 2]
        finally:
            process.kill()


def quiet(config: dict[str, Any]) -> dict[str, Any]:
    """Without what Envoy does by the clock."""
    resources = config["static_resources"]
    clusters = [{key: value for key, value in one.items() if key != "health_checks"} for one in resources["clusters"]]
    overload = {**config["overload_manager"], "refresh_interval": "60s"}
    made = {**config, "static_resources": {**resources, "clusters": clusters}, "overload_manager": overload}
    return {**made, "stats_flush_interval": "299s"}


def of_a_request(connection: socket.socket, dumped: "Dumps", requests: int) -> float:
    dumped.next()
    began_s = clock.mono_s()
    ask(connection, requests)
    took_s, whole = clock.mono_s() - began_s, dumped.next()
    began_s = clock.mono_s()
    time.sleep(_IDLE_S)
    idle_per_s = dumped.next() / (clock.mono_s() - began_s)
    return (whole - idle_per_s * took_s) / requests


class Dumps:
    """What callgrind counted since the last dump."""

    def __init__(self, pid: int, output: Path) -> None:
        self._pid, self._output, self._number = pid, output, 0

    def next(self) -> int:
        subprocess.run(["callgrind_control", "-d", str(self._pid)], check=True, capture_output=True)
        self._number += 1
        file = Path(f"{self._output}.{self._number}")
        while not file.exists() or "totals:" not in (text := file.read_text(errors="replace")):
            time.sleep(0.05)
        return int(text.rpartition("totals:")[2].split()[0])


def connected(address: str) -> socket.socket:
    until_s = clock.mono_s() + _STARTS_S
    while True:
        try:
            return socket.create_connection((address, PORT), timeout=60)
        except OSError:
            if clock.mono_s() > until_s:
                raise
            time.sleep(0.2)


def ask(connection: socket.socket, requests: int) -> None:
    for _ in range(requests):
        connection.sendall(_REQUEST)
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            answer += connection.recv(65_536)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
