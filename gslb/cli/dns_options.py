"""The options of `gslb run` that say how DNS is spoken. Arguments only."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gslb.model.words import IpNetwork, parse_endpoint

__all__ = ["ADDRESS", "dns_options", "take_dns_options"]

_DEFAULT_PER_S = 200
_DEFAULT_SAMPLE = 1000
_PREFIX = "dns_"


class _Address(click.ParamType):  # type: ignore[type-arg] # generic in the stubs only
    """HOST:PORT, as a tuple."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        try:
            return parse_endpoint(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Network(click.ParamType):  # type: ignore[type-arg] # generic in the stubs only
    """An address or a network in CIDR form."""

    name = "NETWORK"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IpNetwork:
        try:
            return ipaddress.ip_network(value)
        except ValueError as error:
            self.fail(f"{error}; write one such as 10.0.0.0/8 or 2001:db8::/32", param, ctx)


class _Identity(click.ParamType):  # type: ignore[type-arg] # generic in the stubs only
    """What a server calls itself."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from gslb.dns.protocol import IDENTITY_LIMIT_BYTES

        if not (value.isascii() and value.isprintable() and len(value) <= IDENTITY_LIMIT_BYTES):
            self.fail(f"write at most {IDENTITY_LIMIT_BYTES} printable ASCII characters", param, ctx)
        return str(value)


class _LogTarget(click.ParamType):  # type: ignore[type-arg] # generic in the stubs only
    """A file or what stands for none; files are written by a role, whatever its working folder."""

    name = "TARGET"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        scheme = "unix:" if value.startswith("unix:") else ""
        path = value.removeprefix(scheme)
        if not path:
            self.fail("write a path", param, ctx)
        return "-" if value == "-" else scheme + str(Path(path).absolute())


ADDRESS = _Address()

_OPTIONS = (
    click.option("--wire", "dns_wire", type=click.Choice(("auto", "native", "python")), default="auto",
                 show_default=True, help="What answers DNS over UDP: C where it was built, or Python."),
    click.option("--dns-threads", "dns_threads", type=click.IntRange(0), metavar="NUMBER",
                 help="Threads that answer over UDP where C does; 0: the event loop.  [default: one per core]"),
    click.option("--dns-proxy", "dns_proxied", multiple=True, type=ADDRESS,
                 help="Where proxies such as dnsdist speak DNS behind a PROXY header (version 2)."),
    click.option("--dns-proxy-from", "dns_proxies", multiple=True, type=_Network(),
                 help="Which proxies to believe.  [default: this machine]"),
    click.option("--dns-rate-limit", "dns_rate_limit", default=_DEFAULT_PER_S, show_default=True,
                 type=click.IntRange(0), metavar="NUMBER",
                 help="Like answers a second for one network (/24, /56), or it must prove its address; 0: no limit."),
    click.option("--dns-rate-limit-exempt", "dns_rate_limit_exempt", multiple=True, type=_Network(),
                 help="Networks without that limit."),
    click.option("--dns-cookie-secret", "dns_cookie_secret", metavar="FILE",
                 type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
                 help="The secret that all nameservers share.  [default: one of our own in the data folder]"),
    click.option("--ecs/--no-ecs", "dns_ecs", default=True, show_default=True,
                 help="Steer by the client's subnet where a resolver names it."),
    click.option("--dns-identity", "dns_identity", type=_Identity(), default="",
                 help="Tell this name to NSID and id.server. queries.  [default: tell nothing]"),
    click.option("--dns-tell-version", "dns_tell_version", is_flag=True, help="Answer version.bind."),
    click.option("--dns-log", "dns_log", type=_LogTarget(), metavar="FILE",
                 help="Log sampled queries with the reasons for their answers, as lines of JSON; -: on stderr."),
    click.option("--dns-log-dnstap", "dns_log_dnstap", type=_LogTarget(), metavar="FILE|unix:PATH",
                 help="The same as dnstap, to a file or a collector's socket."),
    click.option("--dns-log-sample", "dns_log_sample", default=_DEFAULT_SAMPLE, show_default=True, metavar="NUMBER",
                 type=click.IntRange(1), help="Log one query in so many."),
    click.option("--dns-log-full-addresses", "dns_log_full_addresses", is_flag=True,
                 help="Log clients' addresses whole, not their networks (/24, /56)."),
)  # fmt: skip


def dns_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options, which stand in the help in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_dns_options(options: dict[str, Any]) -> dict[str, Any]:
    """What was given for them, under the names of `DnsSettings`; what was left to its default there is missing."""
    taken = {name.removeprefix(_PREFIX): value for name, value in options.items() if name.startswith(_PREFIX)}
    return {name: value for name, value in taken.items() if value not in ((), None)}
