"""What a signed zone of many steered names costs to make: processor time and memory a signature, beside Knot's geoip.

`python -m bench.signed [NAMES]`. Both sign every answer when they load: three sites by weight, IPv4 and IPv6. Knot's
geoip module signs 6 answers a name and its zone 3 record sets; ours also signs what other verdicts would bring.
"""

import dataclasses
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import cpu_s, spread
from gslb import clock

ZONE = "gslb.example.com"
SITES = {
    "dc": ("192.0.2.10", "2001:db8:1::10"),
    "aws": ("198.51.100.20", "2001:db8:2::20"),
    "gcp": ("203.0.113.30", "2001:db8:3::30"),
}
HOST, PORT = "127.0.7.98", 5398
ROUNDS = 3

_KNOT = """
server:
    listen: {host}@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/db
policy:
  - id: p
    algorithm: ecdsap256sha256
mod-geoip:
  - id: g
    config-file: {folder}/geo.conf
    ttl: 30
    mode: weighted
    policy: p
zone:
  - domain: {zone}.
    file: {folder}/zone
    zonefile-sync: -1
    journal-content: none
    zonefile-load: whole
    dnssec-signing: on
    dnssec-policy: p
    module: mod-geoip/g
"""
KNOT_SIGNATURES_A_NAME = 9
DEADLINE_S = 60


def ours(count: int) -> tuple[float, float, int]:
    """(processor seconds, octets, signatures) of composing and signing, in a process of its own."""
    out = subprocess.run(
        [sys.executable, "-m", "bench.signed", "--compose", str(count)], capture_output=True, text=True, check=True
    )
    seconds, octets, signatures = out.stdout.split()
    return float(seconds), float(octets), int(signatures)


def compose_and_sign(count: int) -> None:
    from gslb.dns.compose import compose
    from gslb.dns.dnssec.ahead import bodies_ahead
    from gslb.dns.dnssec.making import make_key
    from gslb.dns.dnssec.seal import open_signers, seal
    from gslb.model.policy import Policy
    from gslb.snapshot import compile_snapshot
    from gslb.snapshot.intent import Intent
    from gslb.snapshot.types import LiveState

    policy = {
        "zone": {"name": ZONE, "nameservers": {"ns1": ["198.51.100.53"]}, "ttl": "30s"},
        "sites": {name: {"edges": [{"public": list(addresses)}]} for name, addresses in SITES.items()},
        "apps": {
            "many": {
                "hosts": [f"h{number}" for number in range(count)],
                "steer": ["healthy", {"weighted": {"dc": 50, "aws": 30, "gcp": 20}}],
                "backends": {"main": {name: ["10.0.0.1:80"] for name in SITES}},
                "routes": [{"name": "all", "split": {"main": 100}}],
            }
        },
    }
    snapshot = compile_snapshot(Intent(revision=1, policy=Policy.model_validate(policy)), 0.0)
    secret = bytes(32)
    keys = tuple(
        dataclasses.replace(make_key(ZONE, role, 13, secret), published=True, signs=True, announced=role == "ksk")
        for role in ("ksk", "zsk")
    )
    snapshot = dataclasses.replace(snapshot, zone=dataclasses.replace(snapshot.zone, keys=keys))
    before_s, before = time.process_time(), _resident()
    tables = compose(snapshot, LiveState())
    signed = seal(tables, open_signers(snapshot, [secret]), clock.wall_s(), ahead=bodies_ahead(tables, snapshot))
    spent_s, octets = time.process_time() - before_s, _resident() - before
    denials = sum(len(chain.denials) for chain in signed.chains.values())
    print(spent_s, octets, denials + sum(map(len, signed.seals.values())))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def knot(count: int) -> tuple[float, float, int]:
    """The same of knotd with mod-geoip, from its start until a steered answer comes; the memory of an empty one is
    taken off. Keys are made before, by a first start with few names."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "db").mkdir()
        _run_knot(folder, 1)
        _, empty = _run_knot(folder, 1)
        spent_s, octets = _run_knot(folder, count)
    return spent_s, octets - empty, count * KNOT_SIGNATURES_A_NAME


def _run_knot(folder: Path, count: int) -> tuple[float, float]:
    _write_knot(folder, count)
    process = subprocess.Popen(
        ["knotd", "-c", str(folder / "knot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        deadline_s = clock.mono_s() + DEADLINE_S
        while not _answers() and clock.mono_s() < deadline_s:
            time.sleep(0.3)
        time.sleep(1)
        status = Path(f"/proc/{process.pid}/statm").read_text().split()
        return cpu_s(process.pid), int(status[1]) * resource.getpagesize()
    finally:
        process.terminate()
        process.wait()


def _answers() -> bool:
    out = subprocess.run(
        ["dig", "+short", "+time=1", "+tries=1", f"@{HOST}", "-p", str(PORT), f"h0.{ZONE}"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return out.strip() in {v4 for v4, _ in SITES.values()}


def _write_knot(folder: Path, count: int) -> None:
    v4, v6 = SITES["dc"]
    lines = [f"$ORIGIN {ZONE}.", "$TTL 30", "@ SOA ns1 hostmaster 1 3600 600 604800 30", "@ NS ns1"]
    lines += ["ns1 A 198.51.100.53", *(f"h{number} A {v4}\nh{number} AAAA {v6}" for number in range(count))]
    (folder / "zone").write_text("\n".join(lines) + "\n")
    views = "".join(
        f"  - weight: {weight}\n    A: {SITES[site][0]}\n    AAAA: {SITES[site][1]}\n"
        for site, weight in (("dc", 50), ("aws", 30), ("gcp", 20))
    )
    (folder / "geo.conf").write_text("".join(f"h{number}.{ZONE}.:\n{views}" for number in range(count)))
    (folder / "knot.conf").write_text(_KNOT.format(folder=folder, zone=ZONE, host=HOST, port=PORT))


def main(count: int = 20_000) -> None:
    runs: dict[str, list[tuple[float, float, int]]] = {"gslb": [], "knot geoip": []}
    for _ in range(ROUNDS):
        runs["gslb"].append(ours(count))
        runs["knot geoip"].append(knot(count))
    print(f"{count} names")
    for who, measured in runs.items():
        per_us = spread([seconds / signatures * 1e6 for seconds, _, signatures in measured])
        per_octets = spread([octets / signatures for _, octets, signatures in measured])
        a_name = spread([octets / count for _, octets, _ in measured])
        print(
            f"{who:<12} {measured[0][2]:>9} signatures   us each {per_us}   octets each {per_octets}   a name {a_name}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compose"]:
        compose_and_sign(int(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:2]))
