"""How each word about checks is written, for remedies. Only texts; which words there are, `check_words` says."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CHECK_FORMS"]

CHECK_FORMS: Mapping[str, str] = {
    "checks": 'checks: {db: {http: {url: "http://10.1.0.20:8008/primary"}, interval: 2s}}',
    "path": "path: /healthz (it starts with a slash and has no spaces)",
    "interval": "interval: 2s",
    "timeout": "timeout: 1s",
    "rise": "rise: 2 (checks in a row)",
    "fall": "fall: 3 (checks in a row)",
    "flaky": "flaky: 10 (failures that as many successes in a row would clear; 2 to 100)",
    "method": "method: GET",
    "host": "host: shop.example.com",
    "headers": 'headers: {x-beta: "1"}',
    "expect": "expect: {status: [200-299], body: ok}",
    "status": "status: [200, 204] or status: 200-299",
    "body": "body: text",
    "regex": "regex: 'lag: [0-9]\\b' (RE2)",
    "http": 'http: {url: "http://10.1.0.20:8008/primary"}',
    "url": 'url: "https://10.1.0.20:8443/healthz"',
    "http2": "http2: true",
    "tcp": 'tcp: {to: "10.1.0.20:5432"} (of a backend: tcp: {})',
    "to": 'to: "10.1.0.20:5432"',
    "send": 'send: "PING\\r\\n" (1,024 characters at most)',
    "tls": 'tls: {sni: db.example.com, ca: internal-ca.pem} (or false; of its own: tls: {to: "10.1.0.20:443"})',
    "sni": "sni: db.example.com",
    "ca": "ca: internal-ca.pem (a file in the folder of --check-secrets)",
    "client": "client: probe.pem (a file in the folder of --check-secrets)",
    "bearer": "bearer: prometheus.token (a file in the folder of --check-secrets)",
    "warn": "warn: 14d",
    "fail": "fail: 2d",
    "grpc": 'grpc: {to: "10.1.0.20:9000", service: shop.v1.Cart} (of a backend: grpc: {})',
    "service": "service: shop.v1.Cart",
    "dns": 'dns: {server: "10.1.0.53:53", name: db.example.com, type: A, expect: [10.1.0.20]}',
    "server": 'server: "10.1.0.53:53"',
    "name": "name: db.example.com",
    "type": "type: A",
    "icmp": "icmp: {to: 10.1.0.1}",
    "command": "command: {run: [check_replication, --max-lag, 30s]}",
    "run": "run: [check_replication, --max-lag, 30s] (a program in the folder of --check-commands, and its arguments)",
    "pushed": "pushed: {expires: 60s, then: unknown}",
    "expires": "expires: 60s",
    "then": "then: unknown or down",
    "prometheus": 'prometheus: {url: "http://10.1.0.30:9090", query: "max(replication_lag_seconds)", healthy: "< 30"}',
    "query": 'query: "max(replication_lag_seconds)"',
    "healthy": 'healthy: "< 30"',
    "calculated": "calculated: {of: [db-a, db-b, db-c], at_least: 2}",
    "of": "of: [db-a, db-b, db-c]",
    "at_least": "at_least: 2",
    "critical": "critical: [db-a]",
    "invert": "invert: true",
    "monitor": "monitor: true",
}
"""By the last word of a path below `checks` or a backend's `check`."""
