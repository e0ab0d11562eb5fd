"""Which route takes a request, told without an Envoy, is what the real one does."""

from __future__ import annotations

from gslb.steering import normal_path, take_route

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
    step = take_route(app, "GET", path, query)[-1]
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
