"""How long a DNS node is silent when it restarts while its edges are: from `kill -9` to the first answer of the next
process, with what it took on its disk, and nobody to ask.

    python -m bench.restart
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import sys
import tempfile
from pathlib import Path

import dns.asyncquery
import dns.message

from gslb import clock
from gslb.control.protocol import Offer
from gslb.model.policy import Policy
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.publishing.signing import Signing
from gslb.roles.settings import Settings
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Intent
from gslb.trust.signer_files import TrustFolder

TIMES = 10
ADDRESS, PORT = "127.0.7.91", 15391
EDGES = ("127.0.7.92", "127.0.7.93")


def policy() -> Policy:
    sites = {f"s{n}": {"edges": [{"public": edge}], "listen": {"http": PORT}} for n, edge in enumerate(EDGES)}
    app = {
        "hosts": "shop",
        "steer": ["healthy", {"first": 1}],
        "backends": {"main": {name: ["10.0.0.1:80"] for name in sites}},
        "routes": [{"name": "all", "split": {"main": 100}}],
    }
    zone = {"name": "gslb.example", "nameservers": {"ns1": "192.0.2.53"}, "ttl": "1s"}
    return Policy.model_validate({"zone": zone, "sites": sites, "apps": {"shop": app}})


async def start(settings: Path):
    command = (sys.executable, "-m", "gslb.roles", "dns", "--settings", str(settings))
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)


async def answered(limit_s: float = 30) -> None:
    query = dns.message.make_query("shop.gslb.example", "A")
    until_s = clock.mono_s() + limit_s
    while clock.mono_s() < until_s:
        with contextlib.suppress(OSError, dns.exception.Timeout):
            reply = await dns.asyncquery.udp(query, ADDRESS, timeout=0.02, port=PORT)
            if reply.answer:
                return
        await asyncio.sleep(0.002)
    raise TimeoutError


def processor_s(pid: int) -> float:
    """What the process has used; on a busy machine the rest of the time is others'."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(folder: Path, *, remembers: bool) -> list[tuple[float, float]]:
    settings = Settings(runtime=folder, data=folder, roles=("dns",), dns=((ADDRESS, PORT),))
    path = settings.save()
    trust = TrustFolder(settings.trust)
    trust.make("bench")
    process = await start(path)
    node = NodeClient("dns", settings.socket("dns"))
    bundle = Signing(trust, own_file=False).signed(Bundle.of(Intent(revision=1, policy=policy())))
    while await node.offer("/publish", Offer(bundle=bundle, wall_s=clock.wall_s()), 30) is None:
        await asyncio.sleep(0.05)
    await node.close()
    await asyncio.sleep(5)
    took_s = []
    for _ in range(TIMES):
        began_s = clock.mono_s()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        if not remembers:
            (folder / "dns" / "last-seen.json").unlink(missing_ok=True)
        process = await start(path)
        await answered()
        took_s.append((clock.mono_s() - began_s, processor_s(process.pid)))
        await asyncio.sleep(4)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    return took_s


def main() -> None:
    os.environ["PYTHONWARNINGS"] = "ignore"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its modules compiled
    with contextlib.ExitStack() as stack:
        for edge in EDGES:  # they take connections, and never answer
            stack.enter_context(socket.create_server((edge, PORT)))
        for remembers in (True, False):
            with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
                took = asyncio.run(measure(Path(folder), remembers=remembers))
            what = "with what it believed last" if remembers else "without, as before"
            walls, busy = zip(*took, strict=True)
            print(
                f"{what}: median {statistics.median(walls):.2f} s, worst {max(walls):.2f} s of {len(walls)}; "
                f"processor time of the process, median {statistics.median(busy):.2f} s; load {os.getloadavg()[0]:.1f}"
            )


if __name__ == "__main__":
    main()
