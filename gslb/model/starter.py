"""The text of the policy that `gslb init` writes. Only the text; it passes `gslb check` as it stands."""

from __future__ import annotations

__all__ = ["STARTER"]

STARTER = """\
# A policy of gslb: which share of your clients goes to which site, and which share of which path to which service.
# Every *.yaml in this folder is read as one policy. Look it over with:  gslb check
# The addresses here are for documentation (RFC 5737): put yours in their place.

environment: staging                # echoed by every command that changes something

zone:
  name: gslb.example.com            # delegate this name to the nameservers below
  nameservers:
    ns1: [198.51.100.53]            # ns1.gslb.example.com
    ns2: [203.0.113.53]
  contact: hostmaster@example.com
  ttl: 10s                          # how long resolvers keep an answer: clients move within about this time

sites:
  dc:                               # your data centre
    edges:
      - public: [192.0.2.10]        # what DNS answers
        bind: [10.0.0.4]            # what the edge binds, where that is another address
    listen: {http: 80}
  cloud:
    edges:
      - public: [198.51.100.20]
        bind: [10.9.0.4]
    listen: {http: 80}

apps:
  shop:
    hosts: [shop]                   # shop.gslb.example.com; let shop.example.com be a CNAME to it
    # https: {alpn: [h2, http/1.1]} # when something ends TLS in front of the edges: publish HTTPS records
    steer:                          # which site a client is told
      - healthy                     # leave out sites that are down
      - weighted: {dc: 90, cloud: 10}
    backends:                       # the services behind the edges, and where they run
      monolith:
        check: {path: /healthz, interval: 2s, timeout: 1s, rise: 2, fall: 3}
        dc: ["10.1.0.11:8080", "10.1.0.12:8080"]
        cloud: ["10.9.0.7:8080"]
      checkout:                     # a part that has already moved
        check: {path: /healthz, interval: 2s, timeout: 1s, rise: 2, fall: 3}
        cloud: ["10.9.0.5:8080"]
    routes:                         # the first match wins
      - name: checkout
        match: {path: /checkout}    # this path and all below it
        split: {monolith: 95, checkout: 5}      # percent; they add up to 100
        sticky: cookie              # a user stays on one side
        # mirror: [{to: checkout, percent: 10}] # try it with copies of real requests first
      - name: rest
        split: {monolith: 100}
"""
