"""Real etcd members on loopback, each a process that a test may kill, freeze and start again."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import signal
import ssl
import subprocess
import time

import pytest

from gslb import clock
from tests.support.ports import free_port

needs_etcd = pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd: sh .ci/debian-packages")

ADDRESS = "127.0.7.{}"
PATIENCE_S = 20
FAST = ("--heartbeat-interval", "50", "--election-timeout", "400")


class Member:
    """One etcd process; its data outlives it. `tls` is (ca, certificate, key), which clients need too."""

    def __init__(self, name, folder, address, tls=None, options=()):
        self.name, self.folder, self.tls, self.options = name, folder, tls, options
        self.address, self.port, self.peer_port = address, free_port(address), free_port(address)
        self.process = None

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    @property
    def peer(self):
        return f"http://{self.address}:{self.peer_port}"

    def start(self, members):
        scheme = "https" if self.tls else "http"
        arguments = [
            "--name", self.name, "--data-dir", str(self.folder / self.name),
            "--listen-client-urls", f"{scheme}://{self.endpoint}",
            "--advertise-client-urls", f"{scheme}://{self.endpoint}",
            "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
            "--initial-cluster", ",".join(f"{other.name}={other.peer}" for other in members),
            "--logger", "zap", "--log-level", "error", *FAST, *self.options,
        ]  # fmt: skip
        if self.tls:
            ca, certificate, key = map(str, self.tls)
            arguments += ["--cert-file", certificate, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(["etcd", *arguments], stdout=log, stderr=log)

    def call(self, path, body):
        """What this very member answers, past our client: (status, JSON)."""
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.tls[0]))
            context.load_cert_chain(*map(str, self.tls[1:]))
            connection = http.client.HTTPSConnection(self.address, self.port, timeout=2, context=context)
        else:
            connection = http.client.HTTPConnection(self.address, self.port, timeout=2)
        with contextlib.closing(connection):
            connection.request("POST", f"/v3/{path}", json.dumps(body), {"Connection": "close"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def status(self):
        """What the member knows of itself; None where it does not serve, or has no leader."""
        try:
            status, answer = self.call("maintenance/status", {})
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return answer if status == 200 and answer.get("leader", "0") != "0" else None

    def leads(self):
        status = self.status()
        return status is not None and status["leader"] == status["header"]["member_id"]

    def put(self, key, value):
        """Past everything that the store would refuse. The HTTP status."""
        return self.call("kv/put", {"key": text(key), "value": text(value)})[0]

    def get(self, key):
        kvs = self.call("kv/range", {"key": text(key)})[1].get("kvs", [])
        return base64.b64decode(kvs[0].get("value", "")) if kvs else None

    def delete(self, key):
        self.call("kv/deleterange", {"key": text(key)})

    def compact(self):
        """Forget every revision before the present one."""
        revision = self.call("kv/range", {"key": text("x")})[1]["header"]["revision"]
        self.call("kv/compaction", {"revision": revision, "physical": True})

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Etcd:
    """`members` of one cluster."""

    def __init__(self, folder, size=1, tls=None, options=()):
        folder.mkdir(exist_ok=True)
        self.members = [Member(f"m{n}", folder, ADDRESS.format(n), tls, options) for n in range(1, size + 1)]
        self.tls = tls
        for member in self.members:
            member.start(self.members)
        self.wait(self.members)

    def wait(self, members):
        """Until each of `members` serves and knows a leader."""
        until_s = clock.mono_s() + PATIENCE_S
        waiting = list(members)
        while waiting and clock.mono_s() < until_s:
            waiting = [member for member in waiting if member.status() is None]
            time.sleep(0.05)
        if waiting:
            logs = "\n".join((m.folder / f"{m.name}.log").read_text()[-2000:] for m in waiting)
            self.close()
            raise AssertionError(logs)

    def url(self, prefix):
        return f"etcd://{','.join(member.endpoint for member in self.members)}/{prefix}"

    def leader(self):
        until_s = clock.mono_s() + PATIENCE_S
        while clock.mono_s() < until_s:
            for member in self.members:
                if member.process is not None and member.leads():
                    return member
            time.sleep(0.05)
        raise AssertionError("nobody leads")

    def close(self):
        for member in self.members:
            member.kill()


def text(value):
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
