"""Every HTTP case of the Gateway API conformance suite, through a real Envoy, with the manifests as they are.

The cases are kept beside the checkout. Listener ports are put in place of the suite's (80, 8080, ...), because tests may
not bind those; names of its Go code (`<tc.host>`) are written out here.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import tarfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from gslb.model.reader import parse_policy
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.e2e_edge.conftest import DC
from tests.support.binomial import assert_share
from tests.support.certificates import Authority, put
from tests.support.echo import Echo
from tests.support.http1 import Connection, _read
from tests.support.ports import free_port

DATA = Path(__file__).parents[3] / "shared" / "data"
INFRA = "gateway-conformance-infra"
SERVICES = [
    (INFRA, "infra-backend-v1"), (INFRA, "infra-backend-v2"), (INFRA, "infra-backend-v3"),
    ("gateway-conformance-web-backend", "web-backend"), ("gateway-conformance-app-backend", "app-backend-v1"),
    ("gateway-conformance-app-backend", "app-backend-v2"),
]  # fmt: skip
CERTIFIED = ("example.org", "second-example.org", "*.wildcard.org", "unknown-example.org")
CASES = json.loads((DATA / "gateway_api_cases.json").read_text()) if DATA.exists() else {}


def manifests(names):
    with tarfile.open(DATA / "gateway_api_manifests.tgz") as archive:
        texts = [archive.extractfile(name).read() for name in ("base/manifests.yaml", *names)]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


class Suite:
    """One Envoy that gets each test's policy in turn."""

    def __init__(self, stage, runner, echoes, services):
        self.stage, self.runner, self.echoes, self.services = stage, runner, echoes, services
        self.authority = Authority()
        put(stage.folder / "dc" / "certificates", "tls-validity-checks-certificate", self.authority.leaf(*CERTIFIED))
        self.ports = {80: stage.port, **{port: free_port(DC) for port in (443, 8080, 8090)}}
        self.revision = 0

    async def apply(self, names, gateway, without=""):
        kinds = ("Deployment", "ConfigMap", without)
        documents = [d for d in manifests(names) if d["kind"] not in kinds]
        for document in documents:
            self._move_ports(document)
        used = {ref["name"] for d in documents if d["kind"] == "HTTPRoute" for ref in d["spec"]["parentRefs"]}
        assert gateway in used
        own = {
            "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}},
            "gateways": [f"{INFRA}/{gateway}"],
            "sites": {"dc": {"edges": [{"public": [DC]}], "listen": {
                "http": self.ports[80], "https": self.ports[443], "also": [self.ports[8080], self.ports[8090]]}}},
            "services": self.services,
        }  # fmt: skip
        texts = {"own.yaml": yaml.safe_dump(own), "foreign.yaml": yaml.safe_dump_all(documents)}
        loaded = parse_policy({name: text.encode() for name, text in texts.items()})
        self.revision += 1
        await self.runner.publish(compile_snapshot(Intent(revision=self.revision, policy=loaded.policy), 0.0))
        return loaded

    def _move_ports(self, document):
        for item in document.get("spec", {}).get("listeners", ()):
            item["port"] = self.ports[item["port"]]
        for item in document.get("spec", {}).get("parentRefs", ()):
            if "port" in item:
                item["port"] = self.ports[item["port"]]

    async def ask(self, case, port=80, tls=None):
        request = case["Request"]
        host = request.get("Host", "example.com")
        headers = dict(request.get("Headers", {}))
        if wanted := case.get("BackendSetResponseHeaders"):
            headers["X-Echo-Set-Header"] = json.dumps(wanted)
        name, _, asked = host.partition(":")
        port = int(asked) if int(asked or 0) in self.ports else port
        real = self.ports[port]
        sent_host = f"{name}:{asked}" if asked else name if port in (80, 443) else f"{name}:{real}"
        if tls is None:
            reader, writer = await asyncio.open_connection(DC, real)
        else:
            context = ssl.create_default_context(cadata=self.authority.pem().decode())
            reader, writer = await asyncio.open_connection(DC, real, ssl=context, server_hostname=tls)
        method = request.get("Method", "GET")
        lines = [f"{method} {request['Path']} HTTP/1.1", f"Host: {sent_host}", "Connection: close"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        length = ["Content-Length: 0"] if method not in ("GET", "HEAD", "OPTIONS") else []
        writer.write("\r\n".join([*lines, *length, "", ""]).encode())
        try:
            return await _read(reader, bodiless=False)
        finally:
            writer.close()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


def faults(case, reply, listening):
    """What is not as the case wants it."""
    response = case.get("Response") or {}
    good = response.get("StatusCodes") or [response.get("StatusCode", 200)]
    if reply.status not in good:
        yield f"status {reply.status}, not {good}"
        return
    yield from header_faults(response, reply)
    if redirect := case.get("RedirectRequest"):
        yield from redirect_faults(case, redirect, urlsplit(reply.get("location") or ""), listening)
        return
    expected = (case.get("ExpectedRequest") or {}).get("Request") or {}
    if reply.status != 200 or expected.get("Path") == "":
        return
    said = reply.json()
    if case.get("Namespace") and not case["Namespace"].startswith("<") and said["namespace"] != case["Namespace"]:
        yield f"namespace {said['namespace']}"
    if not said["pod"].startswith(case.get("Backend", "")):
        yield f"pod {said['pod']}"
    path = expected.get("Path", case["Request"]["Path"])
    if said["path"] != path:
        yield f"path {said['path']}"
    for name, value in (expected.get("Headers") or {}).items():
        if ",".join(said["headers"].get(name.lower(), [])) != value:
            yield f"request header {name}: {said['headers'].get(name.lower())}"
    for name in (case.get("ExpectedRequest") or {}).get("AbsentHeaders", ()):
        if name.lower() in said["headers"]:
            yield f"request header {name}"


def header_faults(response, reply):
    def got(name):
        values = [value for key, value in reply.headers if key == name.lower()]
        return ",".join(values) if values else None

    def bare(text):
        return text.replace(" ", "") if response.get("IgnoreWhitespace") and text else text

    for name, value in (response.get("Headers") or {}).items():
        if bare(got(name)) != bare(value):
            yield f"header {name}: {got(name)}, not {value}"
    for name, values in (response.get("ValidHeaderValues") or {}).items():
        if bare(got(name)) not in map(bare, values):
            yield f"header {name}: {got(name)}, not of {values}"
    for name in response.get("AbsentHeaders", ()):
        if got(name) is not None:
            yield f"header {name}: {got(name)}"


def redirect_faults(case, redirect, location, listening):
    """`listening` is the suite's port and ours of the listener, which stand for each other."""
    if redirect.get("Scheme", location.scheme) != location.scheme:
        yield f"scheme {location.scheme}"
    if redirect.get("Host", case["Request"].get("Host", "example.com")) != location.hostname:
        yield f"host {location.hostname}"
    if location.path != redirect.get("Path", case["Request"]["Path"]):
        yield f"path {location.path}"
    usual = {"http": 80, "https": 443}[location.scheme]
    port = location.port or usual
    wanted = int(redirect.get("Port") or usual)
    if port != wanted and (wanted, port) != listening:
        yield f"port {port}, not {wanted}"


@pytest.fixture
async def suite(stage):
    (stage.folder / "dc").mkdir()
    echoes, services = {}, {}
    for namespace, name in SERVICES:
        echo = echoes[name] = Echo(namespace, f"{name}-pod")
        services[f"{namespace}/{name}"] = {"dc": [await echo.start("127.0.7.9")]}
    async with stage.edge() as runner:
        yield Suite(stage, runner, echoes, services)
    for echo in echoes.values():
        await echo.close()


def gateway_of(name, case):
    """Which Gateway, port and server name a case means, where the suite's code and not its data says so."""
    host = case["Request"].get("Host", "")
    if name == "HTTPRouteHostnameIntersection":
        every = any(host.endswith(f"{word}.com") for word in ("first", "second", "third"))
        return f"httproute-hostname-intersection{'-all' * every}", 80, None
    if name == "HTTPRouteCrossNamespace":
        return "backend-namespaces", 80, None
    plain = {
        "HTTPRouteListenerHostnameMatching": "httproute-listener-hostname-matching",
        "HTTPRouteListenerPortMatching": "httproute-listener-port-matching",
    }
    return plain.get(name, "same-namespace"), 80, None


def steps(name):
    """(manifests, gateway, port, server name, case) of each case."""
    cases = CASES[name]["cases"]
    for index, case in enumerate(cases):
        gateway, port, tls = gateway_of(name, case)
        if name == "HTTPRouteMultipleGateways" and index >= 2:
            gateway = "all-namespaces"
        if name == "HTTPRouteRedirectPortAndScheme" and index >= 6:
            gateway, port = ("same-namespace-with-http-listener-on-8080", 8080)
            if index >= 9:
                gateway, port, tls = "same-namespace-with-https-listener", 443, case["Request"]["Host"]
        if name == "GatewayHTTPListenerIsolation":
            for manifest in CASES[name]["manifests"]:
                which = Path(manifest).stem.removeprefix("gateway-")
                yield (manifest,), which, port, tls, case
        else:
            yield tuple(CASES[name]["manifests"]), gateway, port, tls, case


WRITTEN_OUT = {"HTTPRouteHTTPSListenerDetectMisdirectedRequests", "HTTPRouteRetry"}


@pytest.mark.skipif(not CASES, reason="the cases are not beside this checkout")
async def test_every_case_as_it_is_written(suite):
    wrong, asked, applied, skipped = [], 0, None, Counter()
    for name in sorted(CASES.keys() - WRITTEN_OUT):
        for files, gateway, port, tls, case in steps(name):
            # The suite takes the grant away before it asks again.
            without = "ReferenceGrant" if case is CASES["HTTPRouteReferenceGrant"]["cases"][1] else ""
            if (files, gateway, without) != applied:
                await suite.apply(files, gateway, without)
                applied = (files, gateway, without)
            if case.get("MirroredTo"):
                skipped[name] += 1
            reply = await suite.ask(case, port, tls)
            asked += 1
            wrong += [(name, case["Request"], fault) for fault in faults(case, reply, (port, suite.ports[port]))]
    assert wrong == []
    assert asked > 150
    assert set(skipped) == {"HTTPRouteRequestPercentageMirror"}  # its shares have a test of their own


@pytest.mark.skipif(not CASES, reason="the cases are not beside this checkout")
async def test_cases_whose_values_stand_in_code(suite):
    await suite.apply(CASES["HTTPRouteRetry"]["manifests"], "same-namespace")
    for path, status in (
        ("/retry/code-500-attempts-3/a?fail=3&code=500", 200),
        ("/retry/code-500-attempts-3/b?fail=4&code=500", 500),
        ("/retry/code-500-attempts-3/c?fail=1&code=503", 503),
        ("/retry/code-all-attempts-2/d?fail=2&code=502", 200),
        ("/retry/code-all-attempts-2/e?fail=3&code=504", 504),
    ):
        assert (await suite.ask({"Request": {"Path": path}})).status == status, path
    await suite.apply(CASES["HTTPRouteRetryConnectionError"]["manifests"], "same-namespace")
    reply = await suite.ask({"Request": {"Path": "/retry/no-status-code-attempts-3/f?fail=3&code=0"}})
    assert reply.status == 200

    await suite.apply(CASES["HTTPRouteBackendProtocolWebSocket"]["manifests"], "same-namespace")
    upgrade = {"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    reader, writer = await asyncio.open_connection(DC, suite.ports[80])
    writer.write(
        (
            "GET /ws HTTP/1.1\r\nHost: example.com\r\n" + "".join(f"{k}: {v}\r\n" for k, v in upgrade.items()) + "\r\n"
        ).encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.close()
    await writer.wait_closed()

    misdirected = CASES["HTTPRouteHTTPSListenerDetectMisdirectedRequests"]["manifests"]
    await suite.apply(misdirected, "same-namespace-with-https-listener")
    path = "/detect-misdirected-requests"
    for sni, host, status, pod in (
        ("example.org", "example.org", 200, "infra-backend-v1"),
        ("example.org", "second-example.org", 421, ""),
        ("example.org", "unknown-example.org", 404, ""),
        ("second-example.org", "second-example.org", 200, "infra-backend-v2"),
        ("second-example.org", "example.org", 421, ""),
        ("third-example.wildcard.org", "third-example.wildcard.org", 200, "infra-backend-v3"),
        ("third-example.wildcard.org", "fourth-example.wildcard.org", 421, ""),
        ("fourth-example.wildcard.org", "fourth-example.wildcard.org", 200, "infra-backend-v1"),
        ("fourth-example.wildcard.org", "fifth-example.wildcard.org", 421, ""),
    ):
        reply = await suite.ask({"Request": {"Path": path, "Host": host}}, 443, sni)
        assert reply.status == status, (sni, host)
        assert status != 200 or reply.json()["pod"].startswith(pod)


@pytest.mark.skipif(not CASES, reason="the cases are not beside this checkout")
async def test_shares_of_mirrors_and_the_header_of_each_side(suite):
    total = 500
    await suite.apply(CASES["HTTPRouteRequestPercentageMirror"]["manifests"], "same-namespace")
    shares = {"/percent-mirror": 0.2, "/percent-mirror-fraction": 0.5, "/percent-mirror-and-modify-headers": 0.35}
    for path, share in shares.items():
        connection = Connection(DC, suite.ports[80], "example.com")
        for _ in range(total):
            assert (await connection.ask(path)).status == 200
        await connection.close()
        await asyncio.sleep(0.3)
        assert_share(suite.echoes["infra-backend-v2"].seen[path], total, share)
    await suite.apply(CASES["HTTPRouteRequestHeaderModifierBackendWeights"]["manifests"], "same-namespace")
    connection, sides = Connection(DC, suite.ports[80], "example.com"), Counter()
    for _ in range(total):
        said = (await connection.ask("/")).json()
        assert said["pod"].startswith(said["headers"]["backend"][0])
        sides[said["pod"]] += 1
    await connection.close()
    assert len(sides) == 2
    for count in sides.values():
        assert_share(count, total, 0.5)


DOORS = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gslb
  listeners:
    - {name: http, port: HTTP, protocol: HTTP}
    - {name: https, port: SECURE, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: moved}
spec:
  parentRefs: [{name: public, sectionName: http}]
  hostnames: [shop.gslb.test]
  rules:
    - {matches: [{path: {value: /open}}], backendRefs: [{name: web, port: 80}]}
    - {filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: SECURE}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: public, sectionName: https}]
  hostnames: [shop.gslb.test]
  rules:
    - {matches: [{path: {value: /open}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: other.example}}]}
    - {backendRefs: [{name: web, port: 80}]}
"""


async def test_a_host_has_rules_of_its_own_by_http_and_by_https(stage):
    secure, authority = free_port(DC), Authority()
    folder = stage.folder / "dc" / "certificates"
    folder.mkdir(parents=True)
    put(folder, "shop", authority.leaf("shop.gslb.test", "shop--dc.gslb.test"))
    own = {
        "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}},
        "sites": {"dc": {"edges": [{"public": [DC]}], "listen": {"http": stage.port, "https": secure}}},
        "services": {"web": {"dc": [stage.backend("web").endpoint]}},
    }
    text = DOORS.replace("HTTP,", f"{stage.port},", 1).replace("SECURE", str(secure))
    loaded = parse_policy({"own.yaml": yaml.safe_dump(own).encode(), "z.yaml": text.encode()})
    context = ssl.create_default_context(cadata=authority.pem().decode())
    async with stage.edge() as runner:
        await runner.publish(compile_snapshot(Intent(revision=1, policy=loaded.policy), 0.0))
        asked = {}
        for scheme, port, tls in (("http", stage.port, None), ("https", secure, context)):
            for path in ("/open", "/x"):
                name = {"server_hostname": "shop.gslb.test"} if tls else {}
                reader, writer = await asyncio.open_connection(DC, port, ssl=tls, **name)
                writer.write(f"GET {path} HTTP/1.1\r\nhost: shop.gslb.test\r\n\r\n".encode())
                reply = await _read(reader, bodiless=False)
                asked[scheme, path] = reply.get("location") or reply.status
                writer.close()
    assert asked == {
        ("http", "/open"): 200, ("http", "/x"): f"https://shop.gslb.test:{secure}/x",
        ("https", "/open"): f"https://other.example:{secure}/open", ("https", "/x"): 200,
    }  # fmt: skip
