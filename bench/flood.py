"""A flood at three times what the server can read: whom it still answers, and whether all is normal soon.

`python -m bench.flood [SECONDS]`, as root or anybody, on Linux with gcc and two cores. The responder runs on the first
core, limits rates as by default, and knows one secret. On the second, a sender in C asks for random names from sources
all over 127.0.0.0/8, as fast as it can, and one honest client with a good cookie asks for a name that exists.
"""

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import dns.edns
import dns.message

from bench.amplification import ZONE, zone
from bench.measure import cpu_s

HOST, HONEST = "127.0.7.44", "127.0.7.45"
SERVER_CORE = "0"
SENDER_CORES = {"native": ("1", "0"), "python": ("1",)}
"""One core sends no more than C reads on another: a second sender takes half of the server's own."""

SECRET, CLIENT_COOKIE = bytes(range(16)), b"honestly"
LIKE_ANSWERS_PER_S = 200
FLOOD_S, PAUSE_S, QUIET_S = 10.0, 5.0, 3.0
HONEST_PER_S = 200
TIMES = 3.0

SENDER = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
enum { SOURCES = 512, BATCH = 64, NAMES = 65536, SIZE = 128 };
static unsigned char packets[NAMES][SIZE];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
/* sender HOST PORT SECONDS: ZONE is the end of every name, in hex */
int main(int argc, char **argv) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    double end = now() + atof(argv[3]);
    long sent = 0, place = 0;
    int sockets[SOURCES], tiny = 1, size = 0;
    (void)argc;
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    srandom(1);
    for (int i = 0; i < SOURCES; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET};
        own.sin_addr.s_addr = htonl(127u << 24 | (unsigned)(random() & 0xffff7f) | 128);
        sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
        setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
        if (bind(sockets[i], (void *)&own, sizeof own) || connect(sockets[i], (void *)&server, sizeof server)) return 1;
    }
    for (int i = 0; i < NAMES; i++) {
        unsigned char *at = packets[i];
        unsigned byte;
        memcpy(at, "\x12\x34\0\0\0\1\0\0\0\0\0\0\x10", 13);
        for (int letter = 0; letter < 16; letter++) at[13 + letter] = 'a' + random() % 26;
        size = 29;
        for (const char *hex = ZONE; sscanf(hex, "%2x", &byte) == 1; hex += 2) at[size++] = byte;
        memcpy(at + size, "\0\1\0\1", 4);
        size += 4;
    }
    while (now() < end) {
        struct mmsghdr messages[BATCH];
        struct iovec vectors[BATCH];
        memset(messages, 0, sizeof messages);
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){packets[place++ % NAMES], size};
            messages[i].msg_hdr.msg_iov = &vectors[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        int done = sendmmsg(sockets[random() % SOURCES], messages, BATCH, 0);
        if (done > 0) sent += done;
    }
    printf("%ld\n", sent);
}
"""


class Asked(NamedTuple):
    """What the honest client met: queries, replies, and the milliseconds that those took."""

    sent: int
    waits_ms: list[float]

    def __str__(self) -> str:
        waits = sorted(self.waits_ms)
        if not waits:
            return f"0 of {self.sent} answered"
        return (
            f"{len(waits)} of {self.sent} answered ({len(waits) / self.sent:.1%}), "
            f"median {statistics.median(waits):.2f} ms, 99th percentile {waits[len(waits) * 99 // 100]:.2f} ms"
        )


class Server:
    """The responder's process, and its counters."""

    def __init__(self, wire: str) -> None:
        command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "bench.flood", "--serve", wire]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def counts(self) -> dict[str, int]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def measure(wire: str, sender: Path, seconds: float) -> None:
    server = Server(wire)
    try:
        query = _honest_query()
        print(f"\n{wire}\nbefore      {_ask(query, server.port, QUIET_S)}", flush=True)
        before, before_cpu_s = server.counts(), cpu_s(server.process.pid)
        flooding = [
            subprocess.Popen(
                ["taskset", "-c", core, str(sender), HOST, str(server.port), str(seconds)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for core in SENDER_CORES[wire]
        ]
        during = _ask(query, server.port, seconds - 1)
        sent = sum(int(each.communicate()[0]) for each in flooding)
        time.sleep(PAUSE_S)
        after, used_s = server.counts(), cpu_s(server.process.pid) - before_cpu_s
        read = after["queries_udp"] - before["queries_udp"]
        ours = after["cookies_good"] - before["cookies_good"]
        limited = after.get("limited", 0) - before.get("limited", 0)
        print(f"flood       {sent / seconds:,.0f} queries a second sent, {sent / read:.1f} x what was read")
        print(f"read        {read / used_s:,.0f} a second of processor time; {limited / read:.0%} of it was limited")
        print(f"during      {during}")
        print(f"            {ours} of the honest were read, {len(during.waits_ms)} of those answered in time")
        print(f"{PAUSE_S:g} s later   {_ask(query, server.port, QUIET_S)}", flush=True)
        if sent < TIMES * read:
            print(f"note: the sender did not reach {TIMES:g} x")
    finally:
        server.stop()


def _honest_query() -> bytes:
    from gslb import clock
    from gslb.dns.cookies import stamp

    cookie = stamp((SECRET,), CLIENT_COOKIE, socket.inet_aton(HONEST), clock.wall_s()).cookie
    return dns.message.make_query(f"shop.{ZONE}", "A", options=[dns.edns.GenericOption(10, cookie)]).to_wire()


def _ask(query: bytes, port: int, seconds: float) -> Asked:
    """A query every few milliseconds whether or not the others were answered; replies are told apart by their ids."""
    waits_ms, started, sent = [], {}, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HONEST, 0))
        sock.connect((HOST, port))
        begin_s = next_s = time.perf_counter()
        while (now_s := time.perf_counter()) < begin_s + seconds + 1:
            if now_s >= next_s and now_s < begin_s + seconds:
                started[sent & 0xFFFF] = now_s
                sock.send((sent & 0xFFFF).to_bytes(2) + query[2:])
                sent, next_s = sent + 1, next_s + 1 / HONEST_PER_S
            sock.settimeout(max(0.0005, min(0.005, next_s - now_s)))
            with contextlib.suppress(TimeoutError):
                reply = sock.recv(1232)
                if reply[7] and int.from_bytes(reply[:2]) in started:
                    waits_ms.append((time.perf_counter() - started.pop(int.from_bytes(reply[:2]))) * 1000)
    return Asked(sent, waits_ms)


async def _serve(wire: str) -> None:
    """Print the port; then the counters, for each line that comes in."""
    from gslb.dns.protocol import Protocol
    from gslb.dns.ratelimit import Limiter
    from gslb.dns.responder import Responder

    responder = Responder(
        protocol=Protocol(cookie_secrets=(SECRET,)),
        limiter=Limiter(LIKE_ANSWERS_PER_S),
        wire="native" if wire == "native" else "python",
    )
    await responder.open([(HOST, 0)])
    responder.publish(zone(signed=False))
    print(responder.addresses()[0][1], flush=True)

    def tell() -> None:
        sys.stdin.readline()
        print(json.dumps(responder.counts()), flush=True)

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), tell)
    await asyncio.Event().wait()


def main(seconds: float = FLOOD_S) -> None:
    suffix = b"".join(bytes([len(label)]) + label.encode() for label in ZONE.split(".")) + b"\0"
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "sender.c", Path(folder) / "sender"
        source.write_text(SENDER)
        define = f'-DZONE="{suffix.hex()}"'
        subprocess.run(["gcc", "-O2", define, "-o", str(program), str(source)], check=True)
        for wire in SENDER_CORES:
            measure(wire, program, seconds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        import uvloop

        uvloop.run(_serve(sys.argv[2]))
    else:
        main(*map(float, sys.argv[1:]))
