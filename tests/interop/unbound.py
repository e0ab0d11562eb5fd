"""A real unbound that validates from our own root on, as strict as it can be told to be."""

import asyncio
import subprocess
import time

import dns.asyncquery
import dns.flags
import dns.message

from tests.interop.zones import ROOT_AT
from tests.support.ports import free_port

PATIENCE = 100
TIMEOUT_S = 8
AT_ONCE = 32

CONFIG = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: "{folder}/log"
  verbosity: 1
  val-log-level: 2
  num-threads: 1
  interface: {address}@{port}
  outgoing-interface: {address}
  access-control: 127.0.0.0/8 allow_setrd
  do-ip6: no
  do-not-query-localhost: no
  root-hints: "{folder}/hints"
  trust-anchor-file: "{anchor}"
  module-config: "validator iterator"
  use-caps-for-id: yes
  aggressive-nsec: yes
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-glue: yes
  harden-dnssec-stripped: yes
  harden-below-nxdomain: yes
  harden-referral-path: yes
  harden-algo-downgrade: yes
  harden-large-queries: yes
  harden-short-bufsize: yes
  disable-dnssec-lame-check: no
  val-clean-additional: yes
  cache-min-ttl: 0
  rrset-roundrobin: no
  trust-anchor-signaling: no
  local-zone: "test." nodefault
  num-queries-per-thread: 512
  outgoing-range: 900
remote-control:
  control-enable: yes
  control-interface: "{folder}/control"
  control-use-cert: no
{more}
"""

FORWARD = 'forward-zone:\n  name: "."\n  forward-addr: {address}@{port}\n'


class Unbound:
    """`folder` is its own, `anchor` a file with the key of the root. With `forward` (another one) it asks nobody else."""

    def __init__(self, folder, address, anchor, forward=None):
        folder.mkdir()
        self.folder, self.address, self.port = folder, address, free_port(address)
        (folder / "hints").write_text(f". 3600 IN NS a.root.\na.root. 3600 IN A {ROOT_AT}\n")
        more = FORWARD.format(address=forward.address, port=forward.port) if forward else ""
        text = CONFIG.format(folder=folder, address=address, port=self.port, anchor=anchor, more=more)
        (folder / "unbound.conf").write_text(text)
        with (folder / "out").open("w") as out:
            command = ["unbound", "-d", "-c", str(folder / "unbound.conf")]
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        for _ in range(PATIENCE):
            if self.process.poll() is not None or self._control("status").returncode == 0:
                break
            time.sleep(0.05)
        if self.process.poll() is not None:
            raise AssertionError((folder / "out").read_text() + self.log())

    def _control(self, *words):
        command = ["unbound-control", "-q", "-c", str(self.folder / "unbound.conf"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def forget(self, name=".", qtype=None):
        """All that is cached at and below `name`, or one RRset."""
        done = self._control("flush_type", name, qtype) if qtype else self._control("flush_zone", name)
        assert done.returncode == 0, done.stderr
        if not qtype:
            self._control("flush_infra", "all")

    def ask(self, questions):
        """The replies to (name, type) pairs, by pair."""
        return asyncio.run(self._ask(list(questions)))

    async def _ask(self, questions):
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(question):
            query = dns.message.make_query(*question, use_edns=0, payload=1232, want_dnssec=True)
            query.flags |= dns.flags.AD
            async with gate:
                reply, _ = await dns.asyncquery.udp_with_fallback(query, self.address, TIMEOUT_S, self.port)
            return reply

        return dict(zip(questions, await asyncio.gather(*map(one, questions)), strict=True))

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def close(self):
        self.process.terminate()
        self.process.wait()
