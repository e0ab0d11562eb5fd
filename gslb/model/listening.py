"""What an operator may write about how edges are reached, and how they reach backends: ports, TLS, proxies in front."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from gslb.model.base import Model
from gslb.model.words import DnsName, Network, Port, Seconds

__all__ = ["BackendTls", "ClientTls", "Listen"]

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
"""A file in the certificates folder of each machine with an edge."""


class Listen(Model):
    """Ports that the edges of a site listen on, and who may speak for a client there."""

    http: Port = 80
    https: Port | None = Field(None, description="for the apps that have `tls`")
    http3: StrictBool = Field(False, description="HTTP/3 on the https port, over UDP")
    also: tuple[Port, ...] = Field((), max_length=32, description="more http ports, for the apps that name them")
    trusted_proxies: tuple[Network, ...] = Field(
        (), max_length=100, description="proxies in front: what they say of the client (x-forwarded-for) is believed"
    )
    proxy_hops: Annotated[int, Field(ge=1, le=10, strict=True)] = Field(
        1, description="how many proxies stand in front, one behind the other"
    )
    proxy_protocol: StrictBool = Field(
        False, description="the trusted proxies send the PROXY protocol; others are not heard"
    )
    max_connection_age: Seconds | None = Field(None, ge=1, le=86_400, description="older connections are told to go")


class ClientTls(Model):
    """TLS towards clients. Both are files (PEM) in the certificates folder of each machine with an edge."""

    cert: FileName = Field(description="the certificate with its chain")
    key: FileName
    redirect: StrictBool = Field(False, description="who comes by http is sent to https")
    min_version: Literal["1.2", "1.3"] = "1.2"
    own_connections: StrictBool = Field(
        False, description="421 for a connection that was opened for another app, also with the same certificate"
    )


class BackendTls(Model):
    """TLS towards a backend's endpoints."""

    sni: DnsName | None = Field(None, description="the name asked for, and checked; default: the backend's host")
    ca: FileName | Literal["system"] = Field("system", description="who signs: a file in the certificates folder")
