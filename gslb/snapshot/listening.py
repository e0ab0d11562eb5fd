"""How edges are reached, and how they reach backends that speak TLS. Frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BackendTls", "ClientTls", "Listening"]


@dataclass(frozen=True, slots=True)
class BackendTls:
    """`sni` None: the backend's host, or the app's. `ca` is a file in the certificates folder; None: the system's."""

    sni: str | None
    ca: str | None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """`cert` and `key` are files in the certificates folder of each edge's machine. Apps with the same pair and `group`
    share connections."""

    cert: str
    key: str
    redirect: bool
    only_13: bool
    group: str = ""

    @property
    def secret(self) -> str:
        """Names the pair, in files and to Envoy."""
        return f"{self.cert}+{self.key}"


@dataclass(frozen=True, slots=True)
class Listening:
    """How edges of a site are reached besides the http port. `trusted` may say who the client is; `hops` of them stand
    one behind the other. `max_age_s` None: connections may grow old."""

    https_port: int | None = None
    http3: bool = False
    also: tuple[int, ...] = ()
    trusted: tuple[str, ...] = ()
    hops: int = 1
    proxy_protocol: bool = False
    max_age_s: float | None = None
