"""The bodies of exporting a zone. No rule of the product here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gslb.control.bodies.messages import Body
from gslb.model.words import DnsName

__all__ = ["FlattenedSeen", "ZoneFile", "ZoneFileQuery"]


class ZoneFileQuery(Body):
    """`zone` None: the one that bare hosts stand in. `ttl_s` is that of steered names, None: the policy's, within 30 to
    300 s. `unsigned`: also where the zone is signed."""

    zone: DnsName | None = None
    ttl_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
    unsigned: bool = False


class FlattenedSeen(Body):
    """A steered name of which a file cannot say everything: the sites that its records name, and those left out."""

    name: str
    sites: list[str]
    left_out: list[str]


class ZoneFile(Body):
    """A zone file (RFC 1035 section 5) with the answers of this moment. `zones` are all that there are."""

    environment: str
    zone: str
    zones: list[str]
    serial: int
    text: str
    flattened: list[FlattenedSeen]
