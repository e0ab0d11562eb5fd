"""Runs in the namespace of the name server: asks for every name again and again, and tells how each answer changed.

`python watch.py SERVER UNTIL NAME...`: UNTIL is a moment of CLOCK_MONOTONIC, which all processes share. Prints JSON:
by name the changes as [first heard, address], the last time that each address was heard, and questions without answer.
"""

from __future__ import annotations

import json
import socket
import sys
import time

import dns.message

from gslb import clock

ROUND_S = 0.02
PATIENCE_S = 0.25


def main() -> None:
    server, until_s, names = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.connect((server, 53))
    asker.settimeout(PATIENCE_S)
    queries = {name: dns.message.make_query(name, "A", id=number).to_wire() for number, name in enumerate(names)}
    seen = {name: {"changes": [], "last": {}, "silent": 0, "empty": 0} for name in names}
    while (begun_s := clock.mono_s()) < until_s:
        for name, query in queries.items():
            _ask(asker, query, seen[name])
        time.sleep(max(0.0, ROUND_S - (clock.mono_s() - begun_s)))
    print(json.dumps(seen))


def _ask(asker: socket.socket, query: bytes, seen: dict) -> None:
    try:
        asker.send(query)
        reply = asker.recv(4096)
        while reply[:2] != query[:2]:
            reply = asker.recv(4096)  # late, to an earlier question
    except OSError:
        seen["silent"] += 1
        return
    now_s = clock.mono_s()
    if int.from_bytes(reply[6:8]) == 0:
        seen["empty"] += 1
        return
    address = socket.inet_ntoa(reply[-4:])
    if not seen["changes"] or seen["changes"][-1][1] != address:
        seen["changes"].append([now_s, address])
    seen["last"][address] = now_s


if __name__ == "__main__":
    main()
