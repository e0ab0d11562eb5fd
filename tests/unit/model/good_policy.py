"""A good policy to spoil, and the problems that reading it gives."""

from gslb.errors import PolicyError
from gslb.model.reader import parse_policy

GOOD = """\
environment: test
zone:
  name: gslb.example.com
  nameservers: {ns1: [192.0.2.53], ns2: [198.51.100.53]}
  ttl: 10s
sites:
  dc:
    edges: [{public: [192.0.2.10], bind: [10.0.0.4]}]
    listen: {http: 80}
  aws:
    edges: [{public: [198.51.100.20]}]
apps:
  shop:
    hosts: [shop]
    steer:
      - healthy
      - weighted: {dc: 80, aws: 20}
    backends:
      old:
        check: {path: /healthz, interval: 2s, timeout: 1s}
        dc: ["10.1.0.11:8080"]
        aws: ["10.9.0.7:8080"]
      new:
        aws: ["10.9.0.5:8080"]
    routes:
      - name: pay
        match: {path: /pay}
        split: {old: 95, new: 5}
        mirror: [{to: new, percent: 10}]
        retries: 2
      - name: rest
        split: {old: 100}
"""


def load(text: str, name: str = "p/a.yaml"):
    return parse_policy({name: text.encode()})


def spoiled(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def problems_of(text: str):
    try:
        return list(load(text).warnings)
    except PolicyError as error:
        return list(error.problems)


def places_of(text: str) -> list[tuple[int, int, str]]:
    return [(p.line, p.column, p.rule) for p in problems_of(text)]
