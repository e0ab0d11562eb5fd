"""Which route takes a request, told without an Envoy, is what the real one does."""

from __future__ import annotations

from random import Random

from gslb.steering import Request, normal_path, take_route
from tests.e2e_edge.conftest import DC

MATCHES = {
    "exact": {"exact": "/e"},
    "post": {"path": "/m", "method": "POST"},
    "get": {"path": "/m", "method": ["GET", "HEAD"]},
    "query": {"path": "/q", "query": {"v": "2"}},
    "header": {"path": "/q", "headers": {"x-beta": "1"}},
    "regex": {"regex": "/r/(?:[0-9]+|a\\pL)"},
    "prefix": {"path": "/p"},
    "nested": {"path": "/p2/x/"},
}
TARGETS = [
    "/e", "/e/", "/e?x=1", "/E", "/m", "/m/x", "/q?v=2", "/q?a=1&v=2", "/q?v=1&v=2", "/q?v=2&v=1", "/q?v=%32", "/q?v",
    "/q", "/r/12", "/r/ab", "/r/12/", "/r/", "/r/1?x", "/p", "/p/", "/p/x", "/px", "/P", "/p2/x", "/p2/x/", "/p2/xy",
    "/", "//p", "/p//x", "/a/../p", "/a/./p", "/./p/.", "/p/..", "/p/x/..", "/../p", "/%70", "/%70x", "/p%2Fx", "/p%2fx",
    "/p%5Cx", "/%2e%2e/p", "/a/%2E%2e/p/%2e", "/p%20x", "/p/%41", "/a//../p", "/a//..//p", "/p/%7e", "/%e", "/p/%25",
    "/p\\x", "/a\\..\\p", "/p;x", "/p/;x", "/p#x",
]  # fmt: skip


def told(app, target):
    written, _, query = target.partition("?")
    path = normal_path(written)
    if path is None:
        return 400
    step = take_route(app, Request("GET", path, query))[-1]
    return 404 if step.missing else step.route.name


async def test_the_route_that_is_told_is_the_one_that_envoy_takes(stage):
    backends, routes = {}, []
    for name, match in MATCHES.items():
        backends[name] = {"dc": [stage.backend(name).endpoint]}
        routes.append({"name": name, "match": match, "split": {name: 100}})
    snapshot = stage.snapshot(backends, routes)
    async with stage.edge() as runner:
        await runner.publish(snapshot)
        real = {}
        for target in TARGETS:
            reply = await stage.connection().ask(target)
            real[target] = reply.json()["name"] if reply.status == 200 else reply.status
    assert {target: told(snapshot.apps["shop"], target) for target in TARGETS} == real


WORDS = ("a", "b", "ab", "a.b", "A", "")
VALUES = ("1", "12", "x", "1,2", "a b")
TESTS = ("1", {"regex": "[0-9]+"}, {"regex": "1|x"}, {"present": True})


def some_match(random: Random) -> dict:
    match: dict = {}
    kind = random.choice(("path", "exact", "regex", None))
    path = "/" + "/".join(random.choices(WORDS[:4], k=random.randint(1, 2)))
    if kind == "regex":
        match["regex"] = random.choice(("/a.*", "/[ab]/.*", "(?i)/A", "/(a|ab)(/.+)?", "/.b"))
    elif kind:
        match[kind] = random.choice((path, f"{path}/", path))
    if random.random() < 0.4:
        match["headers"] = {"x-h": random.choice((*TESTS, {"present": False}))}
    if random.random() < 0.3:
        match["query"] = {"q": random.choice(TESTS)}
    if random.random() < 0.3:
        match["method"] = random.choice((["GET"], ["GET", "PUT"], ["POST"]))
    return match or {"exact": "/"}


async def test_any_matches_take_the_same_of_any_requests(stage):
    """Seeds are fixed: the same three hundred requests against the same three sets of routes, whatever the machine."""
    for seed in range(3):
        random = Random(seed)
        routes = [
            {"name": f"r{n}", "respond": {"status": 200, "body": f"r{n}"},
             "match": [some_match(random) for _ in range(random.randint(1, 3))]}
            for n in range(14)
        ]  # fmt: skip
        snapshot = stage.snapshot({"web": {"dc": [f"{DC}:9"]}}, routes)
        app = snapshot.apps["shop"]
        async with stage.edge(folder=f"dc{seed}") as runner:
            await runner.publish(snapshot)
            connection, differences, takers = stage.connection(), [], set()
            for _ in range(300):
                path = "/" + "/".join(random.choices(WORDS, k=random.randint(1, 3)))
                query = random.choice(("", "q=1", "q=x&q=1", "q", "p=1&q=12", "q=%31"))
                method = random.choice(("GET", "PUT", "POST"))
                headers = {"x-h": random.choice(VALUES)} if random.random() < 0.7 else {}
                step = take_route(app, Request(method, normal_path(path), query, headers))[-1]
                expected = "" if step.missing else step.route.name
                sent = {name.replace("-", "_"): value for name, value in headers.items()}
                body = b"" if method != "GET" else None
                reply = await connection.ask(f"{path}?{query}" if query else path, method, body, **sent)
                got = reply.body.decode() if reply.status == 200 else ""
                takers.add(got)
                if got != expected:
                    differences.append((method, path, query, headers, expected, got))
            await connection.close()
        assert differences == []
        assert len(takers) > 5
