"""TLS: a handshake, and how long the certificate is still good."""

from __future__ import annotations

import ssl
from typing import cast

from gslb.health.checks.connection import Connection
from gslb.health.checks.tools import Tools
from gslb.health.target import Result
from gslb.model.words import iso
from gslb.snapshot.checks import TlsAsk

__all__ = ["ask_tls"]

_DAY_S = 86_400.0


async def ask_tls(subject: str, ask: TlsAsk, connection: Connection, tools: Tools) -> Result:
    """Healthy when the certificate is good for the name and for `fail_s` more, with a warning below `warn_s`."""
    context = tools.context(ask.tls)
    async with connection.open(ask.host, ask.port, context, ask.tls.sni) as (_reader, writer):
        shown = cast("ssl.SSLObject", writer.get_extra_info("ssl_object")).getpeercert()
    assert shown is not None
    ends_s = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    left_s = ends_s - tools.wall_s()
    text = f"{subject}: the certificate ends {iso(ends_s)}, in {_span(left_s)}"
    if left_s < ask.fail_s:
        return Result(ok=False, reason=f"{text}; {_span(ask.fail_s)} are required")
    return Result(ok=True, reason=text, warning=left_s < ask.warn_s)


def _span(seconds: float) -> str:
    return f"{seconds / _DAY_S:.0f} days" if seconds >= 2 * _DAY_S else f"{seconds / 3600:.1f} hours"
