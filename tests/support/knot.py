"""A real Knot DNS that serves zones on loopback, for tests that need somebody else's authoritative server."""

from __future__ import annotations

import shutil
import subprocess
import time

import dns.exception
import dns.message
import dns.query
import pytest

needs_knot = pytest.mark.skipif(shutil.which("knotd") is None, reason="needs knotd: sh .ci/debian-packages")

PATIENCE = 100


class Knot:
    """`zones` is text by apex. `folder` is this server's own."""

    def __init__(self, folder, zones, addresses, port):
        folder.mkdir()
        lines = [f"server:\n  rundir: {folder}\n  listen: [{', '.join(f'{a}@{port}' for a in addresses)}]",
                 "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1",
                 f"database:\n  storage: {folder}\ntemplate:\n  - id: default\n    storage: {folder}",
                 '    zonefile-load: whole\n    journal-content: none\n    zonefile-sync: -1\n    file: "%s.zone"\nzone:']  # fmt: skip
        for apex, text in zones.items():
            (folder / f"{apex}.zone").write_text(text)
            lines.append(f"  - domain: {apex}")
        (folder / "knot.conf").write_text("\n".join(lines) + "\n")
        log = (folder / "log").open("w")
        self.process = subprocess.Popen(["knotd", "-c", str(folder / "knot.conf")], stdout=log, stderr=log)
        log.close()
        self.folder = folder
        self._wait(next(iter(zones)), addresses[-1], port)

    def _wait(self, apex, address, port):
        for _ in range(PATIENCE):
            if self.process.poll() is not None:
                break
            try:
                reply = dns.query.tcp(dns.message.make_query(apex, "SOA"), address, 1, port)
                if reply.answer:
                    return
            except (dns.exception.Timeout, OSError):
                pass
            time.sleep(0.05)
        log = (self.folder / "log").read_text()
        self.close()
        raise AssertionError(log)

    def close(self):
        self.process.kill()
        self.process.wait()
