"""Foreign documents: what they become, and what cannot be honoured is told with the field and its place."""

import pytest

from gslb.errors import PolicyError
from gslb.model.reader import parse_policy

OWN = """\
zone: {name: gslb.example.com, nameservers: {ns1: [192.0.2.53]}}
sites: {dc: {edges: [{public: [192.0.2.10]}], listen: {http: 80, https: 443, also: [8080]}}}
services:
  shop/web: {dc: ["10.0.0.1:80"]}
  shop/new: {dc: ["10.0.0.2:80"]}
  shop/web@v2: {dc: ["10.0.0.3:80"]}
  web: {dc: ["10.0.0.4:80"]}
"""
GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  gatewayClassName: gslb
  listeners:
    - {name: http, port: 80, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: pay, namespace: shop}
spec:
  parentRefs: [{name: public}]
  hostnames: [shop.gslb.example.com]
  rules:
    - matches: [{path: {type: PathPrefix, value: /pay}}]
      backendRefs: [{name: web, port: 80, weight: 2}, {name: new, port: 80}]
    - backendRefs: [{name: web, port: 80}]
"""
SPLIT = """\
apiVersion: split.smi-spec.io/VERSION
kind: TrafficSplit
metadata: {name: canary, namespace: shop}
spec:
  service: shop
  backends: [{service: web, weight: W1}, {service: new, weight: W2}]
"""
VIRTUAL = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.gslb.example.com]
  http:
    - match: [{uri: {exact: /login}}, {uri: {prefix: /api}, headers: {x-beta: {exact: "1"}}}]
      route: [{destination: {host: web, subset: v2}}]
      timeout: 3s
      retries: {attempts: 3, perTryTimeout: 1s, retryOn: "5xx,reset"}
    - match: [{uri: {prefix: /old}}]
      rewrite: {uri: /new}
      route: [{destination: {host: web.shop.svc.cluster.local}, weight: 75}, {destination: {host: new}, weight: 25}]
    - route: [{destination: {host: web}}]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  subsets: [{name: v2, labels: {version: v2}}]
"""


def read(foreign, own=OWN):
    return parse_policy({"own.yaml": own.encode(), "z.yaml": foreign.encode()})


def told(foreign, own=OWN):
    try:
        found = read(foreign, own).warnings
    except PolicyError as error:
        found = error.problems
    return [(p.line, p.column, p.rule) for p in found if p.file == "z.yaml"]


def test_a_gateway_and_its_route_become_an_app():
    apps = read(GATEWAY).policy.apps
    (app,) = apps.values()
    assert app.hosts == ("shop.gslb.example.com",)
    assert [(route.name, dict(route.split)) for route in app.routes] == [
        ("pay-0", {"shop-web": 66.67, "shop-new": 33.33}),
        ("pay-1", {"shop-web": 100.0}),
    ]
    assert app.routes[0].match[0].path == "/pay"


def test_an_app_of_ours_with_the_host_says_how_it_is_steered():
    own = OWN + "apps: {mine: {hosts: [shop], steer: [healthy, {weighted: {dc: 1}}], ttl: 5s}}\n"
    (app,) = read(GATEWAY, own).policy.apps.values()
    assert (app.hosts, app.ttl, len(app.routes)) == (("shop",), 5.0, 2)


BOTH = GATEWAY.replace(
    "protocol: HTTP}\n",
    "protocol: HTTP}\n    - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}\n",
)
MOVED = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: moved, namespace: shop}
spec:
  parentRefs: [{name: public, sectionName: http}]
  hostnames: [shop.gslb.example.com]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}]
"""


def test_a_host_at_two_listeners_is_one_app():
    (app,) = read(BOTH).policy.apps.values()
    assert (app.tls.cert, app.tls.redirect, len(app.routes)) == ("shop.crt", False, 2)
    secure = BOTH.replace("[{name: public}]", "[{name: public, sectionName: https}]") + MOVED
    assert told(secure) == []
    assert told(secure.replace(MOVED, "")) == [(8, 21, "listener-clear")], "Gateway API would not serve it by http"
    (app,) = read(secure).policy.apps.values()
    assert (app.tls.redirect, [route.name for route in app.routes]) == (True, ["pay-0", "pay-1"])
    (app,) = read(secure.replace("statusCode: 301", "statusCode: 302")).policy.apps.values()
    assert [(route.name, dict(route.match[0].headers)) for route in app.routes] == [
        ("moved", {"x-forwarded-proto": "http"}),
        ("pay-0", {"x-forwarded-proto": "https"}),
        ("pay-1", {"x-forwarded-proto": "https"}),
    ]
    own = OWN + "apps: {mine: {hosts: [shop], ttl: 5s}}\n"
    assert read(secure, own).policy.apps["mine"].tls.redirect


def test_precedence_of_the_specification_orders_rules_of_all_routes():
    more = GATEWAY.replace(
        "    - backendRefs: [{name: web, port: 80}]\n",
        "    - backendRefs: [{name: web, port: 80}]\n"
        "    - matches:\n"
        "        - {path: {type: Exact, value: /pay}}\n"
        "        - {path: {value: /pay/now}}\n"
        "        - {path: {value: /pay}, method: GET}\n"
        "        - {path: {value: /pay}, headers: [{name: x-a, value: b}]}\n"
        "      backendRefs: [{name: new, port: 80}]\n",
    )
    (app,) = read(more).policy.apps.values()
    assert [route.name for route in app.routes] == ["pay-2", "pay-0", "pay-1"]
    assert [match.exact or match.path for match in app.routes[0].match] == ["/pay", "/pay/now", "/pay", "/pay"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("gateway.networking.k8s.io/v1\nkind: Gateway", "gateway.networking.k8s.io/v1alpha1\nkind: Gateway",
         [(1, 1, "foreign-version"), (13, 17, "unknown-gateway")]),
        ("kind: Gateway", "kind: Gatway", [(1, 1, "foreign-document"), (13, 17, "unknown-gateway")]),
        ("protocol: HTTP", "protocol: TCP", [(7, 30, "foreign-field")]),
        ("port: 80, protocol: HTTP", "port: 81, protocol: HTTP", [(7, 20, "unknown-port")]),
        ("hostnames:", "hostnmes:", [(14, 3, "foreign-field")]),
        ("weight: 2", "weight: two", [(17, 51, "foreign-type")]),
        ("[{name: public}]", "[{name: other}]", [(13, 17, "unknown-gateway")]),
        ("{name: web, port: 80, weight: 2}", "{name: wb, port: 80}", [(17, 22, "unknown-service")]),
        ("{name: web, port: 80, weight: 2}", "{name: web, namespace: other, port: 80}", [(17, 22, "no-grant")]),
        ("value: /pay}}", "value: pay}}", [(16, 50, "value")]),
        ("    - matches: [{path", "    - sessionPersistence: {type: Cookie}\n      matches: [{path",
         [(16, 7, "foreign-field")]),
        ("    - matches: [{path", "    - filters: [{type: ExtensionRef, extensionRef: {name: x}}]\n      matches: [{path",
         [(16, 18, "foreign-field")]),
    ],
)  # fmt: skip
def test_what_a_gateway_cannot_do_is_told(old, new, expected):
    assert GATEWAY.count(old) == 1
    assert told(GATEWAY.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("version", "weights", "split"),
    [
        ("v1alpha1", ("500m", "1500m"), {"shop-web": 25, "shop-new": 75}),
        ("v1alpha1", ("1", "0"), {"shop-web": 100, "shop-new": 0}),
        ("v1alpha2", ("75", "25"), {"shop-web": 75, "shop-new": 25}),
        ("v1alpha3", ("0", "100"), {"shop-web": 0, "shop-new": 100}),
        ("v1alpha4", ("1", "2"), {"shop-web": 33.33, "shop-new": 66.67}),
    ],
)
def test_a_traffic_split_of_every_version(version, weights, split):
    text = SPLIT.replace("VERSION", version).replace("W1", weights[0]).replace("W2", weights[1])
    (app,) = read(text).policy.apps.values()
    assert (app.hosts, dict(app.routes[0].split)) == (("shop.gslb.example.com",), split)


def test_a_traffic_split_for_a_group_of_routes_leaves_the_rest_to_the_root():
    split = (
        SPLIT.replace("VERSION", "v1alpha4")
        .replace("W1", "10")
        .replace("W2", "90")
        .replace("service: shop", "service: web")
    )
    text = split + (
        "  matches: [{kind: HTTPRouteGroup, name: testers}]\n---\napiVersion: specs.smi-spec.io/v1alpha4\n"
        "kind: HTTPRouteGroup\nmetadata: {name: testers, namespace: shop}\nspec:\n  matches:\n"
        '    - {name: beta, pathRegex: "/a/.*", methods: [GET], headers: {x-beta: ".+"}}\n'
        '    - {name: every, methods: ["*"], pathRegex: "/b"}\n'
    )
    (app,) = read(text).policy.apps.values()
    assert [(len(route.match), dict(route.split)) for route in app.routes] == [
        (2, {"shop-web": 10, "shop-new": 90}),
        (1, {"shop-web": 100}),
    ]
    assert (app.routes[0].match[0].regex, app.routes[0].match[0].method) == ("/a/.*", ("GET",))


TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: t, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: web}
  rules: [{kind: HTTPRouteGroup, name: testers}]
  sources: [{kind: ServiceAccount, name: client}]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TARGET, [(7, 3, "foreign-field")]),
        (SPLIT.replace("VERSION", "v1alpha9"), [(1, 1, "foreign-version")]),
        (SPLIT.replace("VERSION", "v1alpha4").replace("W1", "-1").replace("W2", "1"), [(6, 37, "foreign-type")]),
        (SPLIT.replace("VERSION", "v1alpha4").replace("W1", "1").replace("W2", "1").replace("service: new", "service: nu"),
         [(6, 42, "unknown-service")]),
        (SPLIT.replace("VERSION", "v1alpha4").replace("W1", "1").replace("W2", "1") + "  matches: [{kind: TCPRoute, name: x}]\n",
         [(7, 14, "foreign-field")]),
    ],
)  # fmt: skip
def test_what_smi_says_and_edges_cannot_do_is_told(text, expected):
    assert told(text) == expected


def test_a_virtual_service_becomes_an_app():
    (app,) = read(VIRTUAL).policy.apps.values()
    first, second, rest = app.routes
    assert (first.match[0].exact, first.match[1].regex, dict(first.match[1].headers)) == (
        "/login",
        "/api.*",
        {"x-beta": "1"},
    )
    assert dict(first.split) == {"shop-web-v2": 100.0}
    assert (first.timeout, first.try_timeout, first.retrying.tries) == (3.0, 1.0, 3)
    assert first.retrying.on == (500, 502, 503, 504)
    assert (second.match[0].path, second.rewrite.prefix) == ("/old", "/new")
    assert dict(second.split) == {"shop-web": 75.0, "shop-new": 25.0}
    assert dict(rest.split) == {"shop-web": 100.0}
    assert [rule for *_, rule in told(VIRTUAL)] == ["prefix-segment"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("      timeout: 3s", "      delegate: {name: x}", [(9, 7, "foreign-field")]),
        ("subset: v2", "subset: v3", [(8, 41, "unknown-subset")]),
        ('headers: {x-beta: {exact: "1"}}', "sourceLabels: {a: b}", [(7, 61, "foreign-field")]),
        ("  hosts: [shop.gslb", "  tcp: []\n  hosts: [shop.gslb", [(5, 3, "foreign-field")]),
        ("5xx,reset", "5xx,cancelled", [(10, 58, "foreign-field")]),
        ("rewrite: {uri: /new}", "rewrite: {uriRegexRewrite: {match: x, rewrite: y}}", [(12, 17, "foreign-field")]),
        ("labels: {version: v2}}", "labels: {version: v2}, trafficPolicy: {}}", [(21, 47, "foreign-field")]),
        ("  hosts: [shop.gslb", "  gateways: [istio-system/public]\n  hosts: [shop.gslb", [(5, 14, "unknown-gateway")]),
        ("prefix: /old}}", "prefix: /old}, ignoreUriCase: true}", [(11, 30, "foreign-field")]),
    ],
)
def test_what_istio_says_and_edges_cannot_do_is_told(old, new, expected):
    assert VIRTUAL.count(old) == 1
    assert [item for item in told(VIRTUAL.replace(old, new)) if item[2] != "prefix-segment"] == expected


def test_a_virtual_service_means_what_istio_means_by_it():
    """Where the whole path matches, `rewrite.uri` replaces the whole; what has no timeout waits; a fault without a
    percentage is for nobody."""
    text = VIRTUAL.replace(
        "[{uri: {prefix: /old}}]", "[{uri: {exact: /a}}, {uri: {regex: /r.*}}, {uri: {prefix: /old}}]"
    )
    text = text.replace(
        "      rewrite: {uri: /new}",
        "      rewrite: {uri: /new, authority: b.example}\n      fault: {abort: {httpStatus: 500}, delay: {fixedDelay: 5s}}",
    )
    _, whole, prefix, rest = next(iter(read(text).policy.apps.values())).routes
    assert [match.exact or match.regex for match in whole.match] == ["/a", "/r.*"]
    assert (whole.rewrite.path, whole.rewrite.prefix, whole.rewrite.host) == ("/new", None, "b.example")
    assert (prefix.match[0].path, prefix.rewrite.path, prefix.rewrite.prefix) == ("/old", None, "/new")
    assert (prefix.fault.abort.percent, prefix.fault.delay.percent) == (0, 0)
    assert (whole.timeout, prefix.timeout, rest.timeout) == (0, 0, 0)


@pytest.mark.parametrize("name", ["web", "web@v2", "shop/web@v2", "shop/web@v2:80", "web:80", "web.example.com"])
def test_a_service_is_named_as_the_page_says(name):
    own = f"services: {{'{name}': {{dc: ['10.1.0.11:80']}}}}\n"
    assert set(parse_policy({"own.yaml": (OWN.partition("services:")[0] + own).encode()}).policy.services) == {name}


def test_two_gateways_at_one_door_are_told_apart_by_a_word_of_ours():
    second = GATEWAY.partition("---\n")[0].replace("name: public", "name: private")
    assert [rule for *_, rule in told(f"{GATEWAY}---\n{second}")] == ["gateway-overlap"]
    assert told(f"{GATEWAY}---\n{second}", OWN + "gateways: [shop/public]\n") == []


def test_any_other_document_is_still_refused():
    assert told("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n") == [(1, 1, "foreign-document")]
