"""What each feature of a policy costs at the edge: one route with one of them, beside the same route with none.

Requests per second of processor time of the same Envoy binary, one worker, all of them in turns in the same rounds;
nginx as backends and the load on the other core. What a policy does not use is not in its Envoy: the plain route has no
filter, no mirror, no second site.
"""

import sys

import yaml

from bench.proxies import Case, load_of_machine, median, rates, ratio, rendered, stage, undisturbed

CHECK = {"path": "/healthz", "interval": "1s", "timeout": "500ms"}
PLAIN = "plain: one backend, checked"
COOKIE = ("Cookie: gslb_shop=user-1",)
OLD, NEW = {"dc": ["127.0.8.11:9001"]}, {"dc": ["127.0.8.12:9002"]}
MIRROR = {"to": "new", "percent": 10}
SPLIT = {"split": {"old": 95, "new": 5}}
FEATURES: dict[str, tuple[dict, dict, tuple[str, ...]]] = {
    PLAIN: ({}, {}, ()),
    "no retries": ({"retries": 0}, {}, ()),
    "split 95/5": (SPLIT, {}, ()),
    "split, sticky by cookie": ({**SPLIT, "sticky": "cookie"}, {}, COOKIE),
    "mirror 10 %": ({"mirror": [MIRROR]}, {}, ()),
    "mirror 100 %": ({"mirror": [{**MIRROR, "percent": 100}]}, {}, ()),
    "second site behind": ({}, {"backends": {"old": {**OLD, "aws": ["127.0.8.12:9001"]}}}, ()),
    "header edits, two each way": (
        {"request": {"set": {"x-a": "1", "x-b": "2"}}, "response": {"set": {"x-c": "3", "x-d": "4"}}}, {}, (),
    ),
    "rewrite of a prefix": ({"match": {"path": "/old"}, "rewrite": {"prefix": "/new"}}, {}, ()),
    "rate limit": ({"rate": {"requests": 1_000_000}}, {}, ()),
    "capacity of the site": ({}, {"capacity": 1_000_000}, ()),
    "cors": ({"cors": {"origins": "https://a.example"}}, {}, ()),
    "body limit": ({"max_body": 1_000_000}, {}, ()),
    "compression, answer too small for it": ({"compress": True}, {}, ()),
    "nine other routes before it": ({}, {"others": 9}, ()),
}  # fmt: skip
"""Parts of the route, of the rest of the policy, and headers of the requests."""


def main(rounds: int = 15, seconds: float = 1) -> None:
    print("| feature | requests per CPU second | of the plain route | of upper quartiles |\n| --- | --- | --- | --- |")
    names = [name for name in FEATURES if name != PLAIN]
    loads = []
    for start in range(0, len(names), 5):
        chosen = [PLAIN, *names[start : start + 5]]
        with stage() as made:
            for place, name in enumerate(chosen, 30):
                address = f"127.0.8.{place}"
                made.envoy(name, address, rendered(made.folder, policy(address, *FEATURES[name][:2])))
            made.ready("/old/x")
            found = rates(made, lambda name: Case("/old/x", FEATURES[name][2]), rounds, seconds)
        for name in chosen if not start else chosen[1:]:
            print(
                f"| {name} | {median(found, name)} | {ratio(found, name, PLAIN)} | {undisturbed(found, name, PLAIN)} |",
                flush=True,
            )
        loads.append(load_of_machine())
    print(f"{rounds} rounds of {seconds:g} s, interleaved, medians (min to max); load {'; '.join(loads)}")


def policy(address: str, route: dict, rest: dict) -> str:
    """YAML."""
    sites = {
        "dc": {"edges": [{"public": [address]}], "listen": {"http": 8080}},
        "aws": {"edges": [{"public": ["127.0.8.3"]}], "listen": {"http": 8080}},
    }
    if "capacity" in rest:
        sites["dc"]["capacity"] = rest["capacity"]
    backends = {"old": OLD, "new": NEW, **rest.get("backends", {})}
    others = [
        {"name": f"other-{number}", "match": {"path": f"/other-{number}"}, "split": {"old": 100}}
        for number in range(rest.get("others", 0))
    ]
    app = {
        "hosts": ["shop"],
        "backends": {name: {"check": CHECK, **backend} for name, backend in backends.items()},
        "routes": [*others, {"name": "all", "split": {"old": 100}, **route}],
    }
    zone = {"name": "gslb.test", "nameservers": {"ns1": ["127.0.0.1"]}}
    return yaml.safe_dump({"zone": zone, "sites": sites, "apps": {"shop": app}}, sort_keys=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
