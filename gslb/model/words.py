"""The small written forms that a policy uses: durations, addresses, endpoints, names, percentages.

Pure parsing, text to value; every function raises ValueError with a message that an operator can act on.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

__all__ = [
    "Address",
    "DnsName",
    "EndpointText",
    "HostName",
    "IpAddress",
    "IpNetwork",
    "Mailbox",
    "Name",
    "Network",
    "Percent",
    "Port",
    "Seconds",
    "absolute",
    "format_duration",
    "format_endpoint",
    "iso",
    "parse_comparison",
    "parse_duration",
    "parse_endpoint",
    "parse_status",
]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_MAX_NAME_OCTETS = 253  # RFC 1035 section 2.3.4: 255 on the wire, without the length of the first label and the root


def parse_duration(value: object) -> float:
    """`500ms`, `2s`, `10m`, `1h`, `1d`, or `1h30m`, as seconds. A bare number is refused: it hides its unit."""
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value:
            return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    raise ValueError(f"{value!r} is not a duration; write a number with its unit, such as 500ms, 2s, 10m or 1h")


def iso(wall_s: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_duration(seconds: float) -> str:
    """A short written form that `parse_duration` reads back as exactly the same value."""
    for unit in ("d", "h", "m", "s", "ms"):
        count = round(seconds / _UNIT_S[unit])
        if count >= 1 and count * _UNIT_S[unit] == seconds:
            return f"{count}{unit}"
    return f"{Decimal(repr(seconds)):f}s"


def parse_endpoint(text: str) -> tuple[str, int]:
    """`10.1.0.11:8080`, `app2.dc.internal:8080` or `[2001:db8::1]:8080` as (host, port)."""
    host, colon, port_text = text.rpartition(":")
    bad = f"{text!r} is not an endpoint; write HOST:PORT, such as 10.1.0.11:8080 or [2001:db8::1]:8080"
    if not colon or not port_text.isascii() or not port_text.isdigit() or not 1 <= int(port_text) <= 65535:
        raise ValueError(bad)
    try:
        if host.startswith("[") and host.endswith("]"):
            return str(ipaddress.IPv6Address(host[1:-1])), int(port_text)
        if re.fullmatch(r"[0-9.]+", host):
            return str(ipaddress.IPv4Address(host)), int(port_text)
    except ipaddress.AddressValueError as error:
        raise ValueError(bad) from error
    if not _is_dns_name(host):
        raise ValueError(bad)
    return host.lower(), int(port_text)


def format_endpoint(host: str, port: int) -> str:
    """What `parse_endpoint` reads back: an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_status(text: str) -> tuple[int, int]:
    """`200` or `200-299` as the first and the last status."""
    found = re.fullmatch(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?", text)
    if found is None or (found[2] and int(found[2]) < int(found[1])):
        raise ValueError(f"{text!r} is not a status; write one such as 200, or a range such as 200-299")
    return int(found[1]), int(found[2] or found[1])


def parse_comparison(text: str) -> tuple[str, float]:
    """`< 30` as the sign and the number."""
    found = re.fullmatch(r"(<=|>=|==|!=|<|>)\s*([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)", text.strip())
    if found is None:
        raise ValueError(f'{text!r} is not a comparison; write one such as "< 30", ">= 0.99" or "== 1"')
    return found[1], float(found[2])


def absolute(name: str, apex: str) -> str:
    """The whole name, lower-case and without its last dot: `@` is the apex itself, `*` everything, a bare label stands
    in its zone, a name with a dot is whole already."""
    top = apex.lower().removesuffix(".")
    if name in ("@", "*"):
        return top if name == "@" else name
    return name.lower().removesuffix(".") if "." in name else f"{name.lower()}.{top}"


def _is_dns_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return len(text) <= _MAX_NAME_OCTETS and all(_LABEL.fullmatch(label) for label in labels)


def _endpoint(text: str) -> str:
    parse_endpoint(text)
    return text


def _dns_name(text: str) -> str:
    if not _is_dns_name(text):
        raise ValueError(f"{text!r} is not a DNS name; use labels of letters, digits and hyphens, such as shop")
    return text.lower()


def _host_name(text: str) -> str:
    """A DNS name, `@` for the zone itself, as in a zone file (RFC 1035 section 5.1), `*.NAME` for every name below, or
    `*` for whatever reaches an edge and belongs to nobody else."""
    if text in ("@", "*"):
        return text
    return f"*.{_dns_name(text[2:])}" if text.startswith("*.") else _dns_name(text)


def _mailbox(text: str) -> str:
    """`hostmaster@example.com` as the name that a SOA record holds, `hostmaster.example.com` (RFC 1035 section 8)."""
    person, at, domain = text.partition("@")
    if at and (not _LABEL.fullmatch(person) or not _is_dns_name(domain)):
        raise ValueError(
            f"{text!r} is not a mailbox; write one without dots before the @, such as hostmaster@example.com"
        )
    return _dns_name(f"{person}.{domain}" if at else text)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a name; use lower-case letters, digits and hyphens, 63 at most, as in shop-v2"
        )
    return text


def _address(value: object) -> object:
    if isinstance(value, str | ipaddress.IPv4Address | ipaddress.IPv6Address):
        try:
            return ipaddress.ip_address(value)
        except ValueError:
            pass
    raise ValueError(f"{value!r} is not an IP address; write one such as 192.0.2.10 or 2001:db8::10")


def _network(value: object) -> object:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(str(value))
    except ValueError as error:
        raise ValueError(
            f"{value!r} is not a network ({error}); write one such as 10.0.0.0/8 or 2001:db8::/32"
        ) from None


def _percent(value: Any) -> float:
    written = value[:-1] if isinstance(value, str) and value.endswith("%") else value
    try:
        number = float(written)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= 100 or round(number * 100) != round(number * 100, 6):
        raise ValueError(f"{value!r} is not a percentage; write a number from 0 to 100 with at most two decimals")
    return number


Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["500ms", "10s", "1h"]}),
]
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": r"^[0-9.]+%$"}]}
    ),
]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Name = Annotated[str, AfterValidator(_name)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
HostName = Annotated[str, AfterValidator(_host_name)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
EndpointText = Annotated[str, AfterValidator(_endpoint)]
Address = Annotated[
    IpAddress, BeforeValidator(_address), WithJsonSchema({"type": "string", "examples": ["192.0.2.10", "2001:db8::10"]})
]
Network = Annotated[
    IpNetwork, BeforeValidator(_network), WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]})
]
