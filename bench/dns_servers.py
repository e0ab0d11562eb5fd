"""The DNS servers that are compared: how each is told to answer the same zone on one address with one worker.

Run as a program it is gslb's own responder: `python -m bench.dns_servers HOST PORT NAME=VALUE...`, with the names of
`Serving`.
"""

import asyncio
import dataclasses
import random
import sys
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

Command = Callable[[Path, str, int], list[str]]

ZONE, NAME = "gslb.example.com", "shop"
NETWORKS = 500_000
COOKIE_SECRET = bytes(range(16))
KEY_SECRET = bytes(32)
DC, AWS = "192.0.2.10", "198.51.100.20"

_ZONE_FILE = f"""$ORIGIN {ZONE}.
@ 30 SOA ns1 hostmaster 1 3600 600 604800 30
@ 3600 NS ns1
ns1 3600 A 198.51.100.53
"""

_ECHO = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
enum { BATCH = 64, SIZE = 512 };
int main(int argc, char **argv) {
    (void)argc;
    static unsigned char packets[BATCH][SIZE];
    static struct mmsghdr messages[BATCH];
    static struct iovec vectors[BATCH];
    static struct sockaddr_in peers[BATCH];
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &own.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (void *)&own, sizeof own)) return 1;
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){packets[i], SIZE};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &peers[i], .msg_namelen = sizeof peers[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, 0);
        for (int i = 0; i < count; i++) {
            packets[i][2] |= 0x80;
            vectors[i].iov_len = messages[i].msg_len;
        }
        if (count > 0) sendmmsg(fd, messages, count, 0);
    }
}
"""


@dataclasses.dataclass(frozen=True)
class Serving:
    """How gslb is to serve. `like_answers_per_s` 0: no limit. `networks`: steer by so many of them."""

    wire: str = "native"
    threads: int = 1
    like_answers_per_s: int = 0
    networks: int = 0
    signed: int = 0


def gslb(**given: str | int) -> Command:
    """Our responder, told what differs from `Serving`."""

    def command(_: Path, host: str, port: int) -> list[str]:
        told = [f"{name}={value}" for name, value in given.items()]
        return [sys.executable, "-m", "bench.dns_servers", host, str(port), *told]

    return command


def echo(folder: Path, host: str, port: int) -> list[str]:
    """recvmmsg, one bit, sendmmsg: what the kernel alone costs."""
    import subprocess

    source, program = folder / "echo.c", folder / "echo"
    source.write_text(_ECHO)
    subprocess.run(["gcc", "-O2", "-o", str(program), str(source)], check=True)
    return [str(program), host, str(port)]


def gdnsd(folder: Path, host: str, port: int) -> list[str]:
    for name in ("zones", "run", "state"):
        (folder / name).mkdir()
    (folder / "zones" / ZONE).write_text(_ZONE_FILE + f"{NAME} 10 DYNA weighted!{NAME}\n")
    (folder / "config").write_text(
        f"options => {{ listen => [ {host}:{port} ], udp_threads => 1, tcp_threads => 1, "
        f"run_dir => {folder}/run, state_dir => {folder}/state }}\n"
        f"plugins => {{ weighted => {{ {NAME} => {{ dc => [ {DC}, 80 ], aws => [ {AWS}, 20 ] }} }} }}\n"
    )
    return ["gdnsd", "-c", str(folder), "start"]


def knot(folder: Path, host: str, port: int) -> list[str]:
    (folder / "zone").write_text(_ZONE_FILE + f"{NAME} 10 A {DC}\n")
    (folder / "knot.conf").write_text(
        f"server:\n  rundir: {folder}\n  listen: {host}@{port}\n  udp-workers: 1\n  tcp-workers: 1\n"
        f"  background-workers: 1\ndatabase:\n  storage: {folder}\n"
        f"zone:\n  - domain: {ZONE}\n    file: {folder}/zone\n"
    )
    return ["knotd", "-c", str(folder / "knot.conf")]


def pdns(record: str):
    """PowerDNS with its bind backend; `record` is what follows the name."""

    def command(folder: Path, host: str, port: int) -> list[str]:
        (folder / "zone").write_text(_ZONE_FILE + f"{NAME} 10 {record}\n")
        (folder / "named.conf").write_text(f'zone "{ZONE}" {{ type master; file "{folder}/zone"; }};\n')
        (folder / "pdns.conf").write_text(
            f"launch=bind\nbind-config={folder}/named.conf\nlocal-address={host}\nlocal-port={port}\n"
            f"socket-dir={folder}\nreceiver-threads=1\ndistributor-threads=1\n"
            "enable-lua-records=yes\nsetuid=\nsetgid=\n"
        )
        return ["pdns_server", f"--config-dir={folder}", "--guardian=no", "--daemon=no"]

    return command


SERVERS = {
    "gslb, native": gslb(),
    "gslb, native, rate limit": gslb(like_answers_per_s=1_000_000_000),
    "gslb, pure Python": gslb(wire="python", threads=0),
    "bare echo in C": echo,
    "gdnsd, weighted": gdnsd,
    "Knot, static": knot,
    "PowerDNS, static": pdns(f"A {DC}"),
    "PowerDNS, LUA weighted": pdns(f"""LUA A "pickwrandom({{{{80, '{DC}'}}, {{20, '{AWS}'}}}})" """),
}
OWN_SERVERS = {
    "plain": gslb(),
    "networks": gslb(networks=NETWORKS),
    "signed": gslb(signed=1),
    "event loop": gslb(threads=0),
    "two threads": gslb(threads=2),
}


def _policy(steer: list[object]) -> dict[str, object]:
    backends = {"main": {site: ["10.0.0.1:80"] for site in ("dc", "aws")}}
    routes = [{"name": "all", "split": {"main": 100}}]
    return {
        "zone": {"name": ZONE, "nameservers": {"ns1": ["198.51.100.53"]}, "ttl": "30s"},
        "sites": {"dc": {"edges": [{"public": [DC]}]}, "aws": {"edges": [{"public": [AWS]}]}},
        "apps": {NAME: {"hosts": [NAME], "steer": steer, "backends": backends, "routes": routes}},
    }


def _snapshot(serving: Serving):
    from gslb.dns.dnssec.making import make_key
    from gslb.model.policy import Policy
    from gslb.snapshot import compile_snapshot
    from gslb.snapshot.intent import Intent

    steer: list[object] = ["healthy", {"weighted": {"dc": 80, "aws": 20}, "by": "answer"}]
    if serving.networks:
        steer = ["networks", "healthy", {"priority": ["dc", "aws"]}, {"first": 1}]
    made = compile_snapshot(Intent(revision=1, policy=Policy.model_validate(_policy(steer))), 0.0)
    numbers = random.Random(1)
    starts = numbers.sample(range(1 << 24), serving.networks)
    networks = [IPv4Network((start << 8, 24)) for start in starts]
    owned = {"dc": tuple(networks[::2]), "aws": tuple(networks[1::2])}
    sites = {name: dataclasses.replace(site, networks=owned[name]) for name, site in made.sites.items()}
    keys = []
    for role in ("ksk", "zsk") if serving.signed else ():
        key = make_key(ZONE, role, 13, KEY_SECRET)
        keys.append(dataclasses.replace(key, published=True, signs=True, announced=role == "ksk"))
    return dataclasses.replace(made, sites=sites, zone=dataclasses.replace(made.zone, keys=tuple(keys)))


async def _serve(host: str, port: str, *told: str) -> None:
    from gslb import clock
    from gslb.dns.compose import compose
    from gslb.dns.dnssec.seal import open_signers, seal
    from gslb.dns.protocol import Protocol
    from gslb.dns.ratelimit import Limiter
    from gslb.dns.responder import Responder
    from gslb.snapshot.types import LiveState

    given = dict(part.split("=") for part in told)
    wire = given.pop("wire", "native")
    serving = Serving(wire, **{name: int(value) for name, value in given.items()})
    snapshot = _snapshot(serving)
    tables = compose(snapshot, LiveState())
    if serving.signed:
        tables = seal(tables, open_signers(snapshot, [KEY_SECRET]), clock.wall_s())
    responder = Responder(
        protocol=Protocol(cookie_secrets=(COOKIE_SECRET,)),
        limiter=Limiter(serving.like_answers_per_s) if serving.like_answers_per_s else None,
        wire="native" if wire == "native" else "python",
        threads=serving.threads,
    )
    await responder.open([(host, int(port))])
    responder.publish(tables)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(*sys.argv[1:]))
