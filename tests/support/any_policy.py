"""Policies of every field that an edge serves, drawn at random and at the edges of what is allowed: most of them are
good, and whoever takes them must be able to serve them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Any

from gslb.errors import PolicyError
from gslb.model.reader import Loaded, parse_policy

_ROUNDS = 40

TEXTS = ("x", "a b", "100%", "%START_TIME%", "%%", "ü", "${env}", '"', "\\", "{}", "a" * 1000, "")
NAMES = ("x-a", "X-Upper", "host", ":authority", "content-length", "x-envoy-attempt-count", "a" * 200, "user_agent")
REGEXES = (
    "a+",
    "(?i)x",
    "^/v[0-9]+/",
    "(?=x)",
    "(a)\\1",
    "[",
    "a{1,1000}",
    "(?P<n>a)",
    ".*",
    "/a|/b",
    "\\d+",
    "x" * 2000,
)
PATHS = ("/", "/a", "/a/", "/a//b", "/a%2fb", "/a?b", "/a#b", "/" + "a" * 1000, "/~", "/a.b", "/{x}", "/a/../b", '/"')
TIMES = ("0s", "1ms", "0.5s", "1s", "15s", "1h", "1d", "365d")
PERCENTS = (0, 0.01, 1, 33.33, 50, 99.99, 100, "10%")
HOSTS = (
    "a.example.com",
    "*.example.com",
    "*.b.example.com",
    "xn--bcher-kva.example",
    "A.EXAMPLE.ORG",
    "localhost",
    "a_b.example.com",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND")


class AnyPolicy:
    """`policy` draws one. The same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)

    def policy(self) -> dict[str, Any]:
        sites = {"dc": self._site("127.0.50.1"), "aws": self._site("127.0.50.2")}
        return {
            "zone": {"name": "gslb.example.com", "nameservers": {"ns1": ["127.0.50.53"]}},
            "sites": sites,
            "apps": {f"app{n}": self._app(n) for n in range(self._chance.randint(1, 3))},
        }

    # What stands in it ------------------------------------------------------------------------------------------------

    def _pick(self, *items: Any) -> Any:
        return self._chance.choice(items)

    def _maybe(self, what: dict[str, Any], ratio: float = 0.25) -> dict[str, Any]:
        """Each of these with that chance; values that are functions are called."""
        kept = [(key, value) for key, value in what.items() if self._chance.random() < ratio]
        return {key: value() if callable(value) else value for key, value in kept}

    def _some(self, items: Sequence[Any], most: int = 3) -> list[Any]:
        return self._chance.sample(list(items), self._chance.randint(1, most))

    def _site(self, address: str) -> dict[str, Any]:
        listen = {"http": 8080} | self._maybe(
            {
                "https": 8443,
                "http3": self._pick(True, False),
                "also": [8081],
                "trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"],
                "proxy_hops": self._pick(0, 1, 5),
                "proxy_protocol": self._pick(True, False),
                "max_connection_age": self._pick(*TIMES),
            }
        )
        edge = {"public": [address]} | self._maybe({"peer": f"{address}:8444"}, 0.7)
        return {"edges": [edge], "listen": listen} | self._maybe({"capacity": self._pick(1, 100, 10**6)})

    def _app(self, number: int) -> dict[str, Any]:
        backends = {name: self._backend() for name in ("old", "new", "third")}
        hosts = [f"app{number}", *(f"{number}{host}" for host in HOSTS[:1]), *self._some(HOSTS)][: self._pick(1, 2, 4)]
        return {
            "hosts": hosts,
            "backends": backends,
            "routes": [self._route(f"r{n}") for n in range(self._chance.randint(1, 5))],
        } | self._maybe({"ports": self._pick([8080], [8081], [8080, 8081]), "tls": self._client_tls})

    def _client_tls(self) -> dict[str, Any]:
        return {"cert": "c.pem", "key": "k.pem"} | self._maybe(
            {"redirect": self._pick(True, False), "min_version": self._pick("1.2", "1.3"), "own_connections": True}
        )

    def _backend(self) -> dict[str, Any]:
        ends = (["127.0.51.1:80"], ["127.0.51.1:80", "127.0.51.2:80"], ["app.internal:8080"], ["[::1]:80"])
        placed = {site: self._pick(*ends) for site in self._some(("dc", "aws"), 2)}
        return placed | self._maybe(
            {
                "check": self._check,
                "tls": lambda: self._maybe(
                    {"sni": self._pick("a.example.com", "x"), "ca": self._pick("ca.pem", "system")}, 0.5
                ),
                "protocol": self._pick("http1", "http2"),
                "via": "edge",
                "host": self._pick("a.example.com", "A.example.com:80"),
            }
        )

    def _check(self) -> dict[str, Any]:
        kind = self._pick(
            {"path": self._pick(*PATHS)}, {"grpc": {"service": self._pick("", "a.B")}},
            {"tcp": self._maybe({"send": self._pick("PING", "\r\n"), "expect": self._pick("PONG", "+")}, 0.5)},
        )  # fmt: skip
        times = {"interval": self._pick("1s", "10s", "1h"), "timeout": self._pick("1ms", "500ms", "1s")}
        http = {"method": self._pick("GET", "HEAD", "OPTIONS"), "host": self._pick("a.b", *TEXTS[:3]),
                "headers": lambda: {self._pick(*NAMES): self._pick(*TEXTS)},
                "expect": lambda: self._pick({"status": 204}, {"status": ["200-299", 301]}, {"body": self._pick(*TEXTS)})}  # fmt: skip
        more = {"http2": self._pick(True, False), "tls": self._pick(True, False), "rise": self._pick(1, 10), "fall": 1}
        return kind | times | self._maybe(more | (http if "path" in kind else {}))

    def _edits(self) -> dict[str, Any]:
        return self._maybe(
            {
                "set": lambda: {self._pick(*NAMES): self._pick(*TEXTS)},
                "add": lambda: {self._pick(*NAMES): self._pick(*TEXTS)},
                "remove": lambda: self._some(NAMES),
            },
            0.5,
        )

    def _test(self) -> Any:
        return self._pick(
            self._pick(*TEXTS),
            {"exact": self._pick(*TEXTS)},
            {"regex": self._pick(*REGEXES)},
            {"present": self._pick(True, False)},
        )

    def _match(self) -> dict[str, Any]:
        path = self._pick(
            {}, {"path": self._pick(*PATHS)}, {"exact": self._pick(*PATHS)}, {"regex": self._pick(*REGEXES)}
        )
        return path | self._maybe(
            {
                "method": self._some(METHODS),
                "headers": lambda: {self._pick(*NAMES): self._test()},
                "query": lambda: {self._pick("q", *TEXTS): self._test()},
            }
        )

    def _route(self, name: str) -> dict[str, Any]:
        match = self._pick({}, {"match": self._match()}, {"match": [self._match(), self._match()]})
        split = self._pick({"old": 100}, {"old": 50, "new": 50}, {"old": 0, "new": 100}, {"old": 99.99, "new": 0.01},
                           {"old": 33.33, "new": 33.33, "third": 33.34})  # fmt: skip
        act = self._pick(*[{"split": split}] * 6, {"redirect": self._redirect()}, {"respond": self._respond()})
        common = {"response": self._edits, "cors": self._cors, "rate": self._rate, "fault": self._fault,
                  "compress": self._pick(True, False)}  # fmt: skip
        forwarded = {
            "sticky": self._pick("cookie", "header:x-user", "source"), "mirror": lambda: [self._mirror() for _ in range(self._pick(1, 2))],
            "timeout": self._pick(*TIMES), "try_timeout": self._pick(*TIMES), "retries": self._retries, "rewrite": self._rewrite,
            "request": self._edits, "sides": lambda: {self._pick("old", "new"): self._side()},
            "websocket": self._pick(True, False), "max_body": self._pick(0, 1, 65536, 2**31), "variants": self._pick(True, False),
            "auth": self._auth,
        }  # fmt: skip
        return {"name": name} | match | act | self._maybe(common | (forwarded if "split" in act else {}), 0.15)

    def _side(self) -> dict[str, Any]:
        return self._maybe(
            {"request": self._edits, "response": self._edits, "host": self._pick("a.example.com", "x")}, 0.5
        )

    def _redirect(self) -> dict[str, Any]:
        return self._maybe({"scheme": self._pick("http", "https"), "host": self._pick(*HOSTS), "port": self._pick(1, 443, 65535),
                            "status": self._pick(301, 302, 303, 307, 308)}, 0.5) | self._pick(
            {}, {"path": self._pick(*PATHS)}, {"prefix": self._pick(*PATHS)})  # fmt: skip

    def _respond(self) -> dict[str, Any]:
        return {"status": self._pick(200, 204, 404, 503, 599)} | self._maybe(
            {"body": self._pick(*TEXTS), "type": self._pick("text/plain", "application/json; charset=utf-8")}, 0.5
        )

    def _rewrite(self) -> dict[str, Any]:
        return self._maybe({"host": self._pick(*HOSTS)}) | self._pick(
            {}, {"path": self._pick(*PATHS)}, {"prefix": self._pick(*PATHS)}
        )

    def _cors(self) -> dict[str, Any]:
        return {"origins": self._pick("*", ["https://a.example.com"], ["https://*.example.com", "http://localhost:3000"])} | self._maybe(
            {"methods": self._pick("*", ["GET", "POST"]), "headers": self._pick("*", ["x-a"]), "expose": self._pick("*", ["x-b"]),
             "credentials": self._pick(True, False), "max_age": self._pick(*TIMES)}, 0.5)  # fmt: skip

    def _rate(self) -> dict[str, Any]:
        return {"requests": self._pick(1, 100, 2**31), "per": self._pick("1s", "1ms", "1m", "1d")} | self._maybe(
            {"burst": self._pick(1, 2**31)}
        )

    def _fault(self) -> dict[str, Any]:
        return self._maybe({"delay": {"percent": self._pick(*PERCENTS), "time": self._pick(*TIMES)},
                            "abort": {"percent": self._pick(*PERCENTS), "status": self._pick(200, 400, 503, 599)}}, 0.6)  # fmt: skip

    def _retries(self) -> Any:
        return self._pick(0, 1, 3, {"tries": self._pick(1, 10)} | self._maybe(
            {"on": self._pick([503], [500, 502, 404]), "backoff": self._pick(*TIMES), "methods": self._pick("safe", "any")}, 0.5))  # fmt: skip

    def _mirror(self) -> dict[str, Any]:
        return {"to": self._pick("new", "third"), "percent": self._pick(*PERCENTS)} | self._maybe({
            "by": self._pick("user", {"header": "x-user"}), "credentials": self._pick(True, False), "remove": lambda: self._some(NAMES),
            "methods": lambda: self._some(METHODS), "max_body": self._pick(0, 1, 2**20), "compare": self._pick(True, {"sample": 1})})  # fmt: skip

    def _auth(self) -> dict[str, Any]:
        return {"backend": self._pick("new", "third")} | self._maybe({"path": self._pick(*PATHS), "timeout": self._pick("1ms", "1s"),
            "send": lambda: self._some(NAMES), "take": lambda: self._some(NAMES), "fail": self._pick("closed", "open")}, 0.4)  # fmt: skip


def taken(seed: int) -> Loaded | None:
    """The policy of a seed without what is refused; None where that leaves nothing."""
    policy = AnyPolicy(seed).policy()
    for _ in range(_ROUNDS):
        text = json.dumps(policy, indent=1)
        try:
            return parse_policy({"policy.yaml": text.encode()})
        except PolicyError as error:
            places = dict(enumerate(_places(policy), 1))
            wrong = {places.get(item.line, ()) for item in error.problems if item.severity == "error"}
            policy = _without(policy, wrong)
    return None


def _places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """What stands on each line of `value` as json.dumps writes it with an indent."""
    yield where
    if value and isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _places(item, (*where, key))
        yield where


def _without(value: Any, wrong: Collection[tuple[Any, ...]], where: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, wrong, (*where, key)) for key, item in value.items() if (*where, key) not in wrong}
    if isinstance(value, list):
        return [_without(item, wrong, (*where, n)) for n, item in enumerate(value) if (*where, n) not in wrong]
    return value
