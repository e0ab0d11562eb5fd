"""How edges are reached: that TLS has a port and a host with a name, and that ports mean one thing."""

from __future__ import annotations

from gslb.model.checks.report import Report
from gslb.model.tree import Path

__all__ = ["check_listening"]


def check_listening(report: Report) -> None:
    """Ports of sites and the apps that name them, TLS towards clients and backends."""
    policy = report.policy
    for name, site in policy.sites.items():
        path, listen = ("sites", name, "listen"), site.listen
        seen: dict[int, str] = {listen.http: "http"}
        for index, port in enumerate(listen.also):
            _port(report, (*path, "also", index), port, seen)
        if listen.https is not None:
            _port(report, (*path, "https"), listen.https, seen)
        elif listen.http3:
            report.error((*path, "http3"), "no-https-port", "HTTP/3 comes to the https port", "write https: 443")
        if not listen.trusted_proxies and (listen.proxy_protocol or listen.proxy_hops > 1):
            word = "proxy_protocol" if listen.proxy_protocol else "proxy_hops"
            message = f"{word} without trusted_proxies: anybody could say who the client is"
            report.error((*path, word), "untrusted-proxies", message, "write trusted_proxies: [10.0.0.0/8]")
    _apps(report)


def _port(report: Report, path: Path, port: int, seen: dict[int, str]) -> None:
    if port in seen:
        message = f"{port} is the {seen[port]} port of this site already"
        report.error(path, "duplicate-port", message, "write another port")
    seen.setdefault(port, str(path[-1]) if path[-1] == "https" else "also")


def _apps(report: Report) -> None:
    sites = report.policy.sites
    with_https = [name for name, site in sites.items() if site.listen.https is not None]
    ports = {sites[name].listen.https for name in with_https}
    for name, app in report.policy.apps.items():
        path = ("apps", name)
        if app.tls is not None and len(with_https) < len(sites):
            lacking = ", ".join(site for site in sites if site not in with_https)
            message = f"no https port is known at {lacking}, so the app would be served in the clear there"
            report.error_at_key((*path, "tls"), "no-https-port", message, "write listen: {https: 443} at every site")
        if app.tls is not None and app.https is None and len(ports) > 1:
            message = "sites have different https ports, and one HTTPS record names one"
            report.error_at_key((*path, "tls"), "https-port", message, "listen on the same port everywhere")
        if app.tls is not None and app.ports:
            message = "ports of `also` are served in the clear"
            report.error_at_key((*path, "ports"), "tls-ports", message, "delete tls or ports")
        for index, port in enumerate(app.ports):
            lacking = ", ".join(n for n, s in sites.items() if port not in (s.listen.http, *s.listen.also))
            if lacking:
                message = f"edges of {lacking} do not listen on {port}"
                report.error(
                    (*path, "ports", index), "unknown-port", message, f"write listen: {{also: [{port}]}} there"
                )
