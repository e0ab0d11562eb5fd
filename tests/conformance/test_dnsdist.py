"""DNS over TLS (RFC 7858) and HTTPS (RFC 8484) by Debian's dnsdist in front, with the configuration of the recipe."""

import contextlib
import http.client
import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.conformance.conftest import TIMEOUT_S, serving
from tests.conformance.zone import APEX, MANY, steered_tables, tables

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "dnsdist.md"
HOST, NEAR_CLIENT, FAR_CLIENT = "127.0.7.61", "127.0.7.60", "127.0.7.62"
NEAR, FAR = "192.0.2.10", "198.51.100.20"

pytestmark = pytest.mark.skipif(shutil.which("dnsdist") is None, reason="dnsdist is not installed: .ci/debian-packages")


def free_port():
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


class Dnsdist:
    """The recipe's dnsdist in front of `backend`."""

    def __init__(self, folder, backend):
        self.tls_port, self.https_port = free_port(), free_port()
        key, cert = folder / "key.pem", folder / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=ns1.example", "-keyout", key, "-out", cert], check=True, capture_output=True,
        )  # fmt: skip
        (config,) = re.findall(r"```lua\n(.*?)```", RECIPE.read_text(), re.DOTALL)
        for ours, theirs in {
            "192.0.2.53:853": f"{HOST}:{self.tls_port}",
            "192.0.2.53:443": f"{HOST}:{self.https_port}",
            "/etc/dnsdist": str(folder),
            "127.0.0.1:5353": f"{backend.host}:{backend.port}",
        }.items():
            assert ours in config
            config = config.replace(ours, theirs)
        (folder / "dnsdist.conf").write_text(config + f'setLocal("{HOST}:{free_port()}")\nsetSecurityPollSuffix("")\n')
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["dnsdist", "--supervised", "--disable-syslog", "-C", folder / "dnsdist.conf"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.context = ssl.create_default_context(cafile=cert)
        self.context.check_hostname = False

    def wait(self):
        """Until it answers: it asks the backend first."""
        for _ in range(100):
            try:
                if self.tls(dns.message.make_query(APEX, "SOA"), FAR_CLIENT).answer:
                    return
            except (OSError, EOFError, dns.exception.DNSException):
                pass
            time.sleep(0.1)
        raise AssertionError("dnsdist does not come up")

    def tls(self, message, source):
        return dns.query.tls(message, HOST, TIMEOUT_S, self.tls_port, source=source, ssl_context=self.context)

    def https(self, message, source):
        connection = http.client.HTTPSConnection(
            HOST, self.https_port, timeout=TIMEOUT_S, source_address=(source, 0), context=self.context
        )
        connection.request("POST", "/dns-query", message.to_wire(), {"content-type": "application/dns-message"})
        response = connection.getresponse()
        assert response.status == 200
        body = response.read()
        connection.close()
        return dns.message.from_wire(body)

    def close(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def behind_dnsdist(zone, folder):
    """dnsdist, and the Server behind it."""
    with serving(zone, proxied=[("127.0.7.2", 0)], proxies=["127.0.0.0/8"]) as (_, backend):
        dnsdist = Dnsdist(folder, backend)
        try:
            dnsdist.wait()
            yield dnsdist, backend
        finally:
            dnsdist.close()


@pytest.mark.parametrize("protocol", ["tls", "https"])
def test_the_client_behind_dnsdist_is_steered_for(tmp_path, protocol):
    with behind_dnsdist(steered_tables(), tmp_path) as (dnsdist, backend):
        for source, site in ((NEAR_CLIENT, NEAR), (FAR_CLIENT, FAR)):
            reply = getattr(dnsdist, protocol)(dns.message.make_query(f"home.{APEX}", "A"), source)
            assert [rdata.address for rdata in reply.answer[0]] == [site]
        assert not backend.counts().get("proxy_malformed")


@pytest.mark.parametrize("protocol", ["tls", "https"])
def test_an_answer_that_is_too_long_for_udp_arrives_whole(tmp_path, protocol):
    with behind_dnsdist(tables(), tmp_path) as (dnsdist, _):
        reply = getattr(dnsdist, protocol)(dns.message.make_query(f"big.{APEX}", "AAAA"), FAR_CLIENT)
        assert {rdata.address for rdata in reply.answer[0]} == set(MANY)
