"""What is known of networks of clients: a value for each range of addresses, found by bisection.

Networks nest as people write them (the longest prefix counts) and are laid flat here, once, when they are read; nothing
is decided in this module.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gslb.model.words import IpAddress, IpNetwork

__all__ = ["GeoMap", "NetworkMap", "Place", "Spans", "network_map", "overlay"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Place:
    """Where clients are, as far as a database knows: ISO 3166 country, two letters for the continent, degrees."""

    country: str | None = None
    continent: str | None = None
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True)
class Spans(Generic[T_co]):
    """`values[i]` holds from address `starts[i]`, as a number, up to the next start. The first start is 0."""

    starts: tuple[int, ...]
    values: tuple[T_co, ...]

    def mapped(self, make: Callable[[T_co], V]) -> Spans[V]:
        """What `make` says of each value, asked once for each distinct one; equal neighbours become one."""
        known: dict[T_co, V] = {}
        starts: list[int] = []
        values: list[V] = []
        for start, value in zip(self.starts, self.values, strict=True):
            if value not in known:
                known[value] = make(value)
            if not values or known[value] != values[-1]:
                starts.append(start)
                values.append(known[value])
        return Spans(tuple(starts), tuple(values))


@dataclass(frozen=True, slots=True)
class NetworkMap(Generic[T_co]):
    """A value for some of the clients; None for the others."""

    v4: Spans[T_co | None] = Spans((0,), (None,))
    v6: Spans[T_co | None] = Spans((0,), (None,))

    def spans(self, version: int) -> Spans[T_co | None]:
        """Of one address family, 4 or 6."""
        return self.v4 if version == 4 else self.v6

    def find(self, client: IpAddress) -> tuple[T_co | None, int]:
        """The value for a client, and the length of the shortest prefix of its address that lies in one span: whose
        members all have it (RFC 7871 section 7.2.1)."""
        spans, number, width = self.spans(client.version), int(client), client.max_prefixlen
        index = bisect_right(spans.starts, number) - 1
        bits = 0
        if index:
            bits = _parting_bit(number, spans.starts[index] - 1, width)
        if index + 1 < len(spans.starts):
            bits = max(bits, _parting_bit(number, spans.starts[index + 1], width))
        return spans.values[index], bits


GeoMap = NetworkMap[Place]


def network_map(networks: Iterable[tuple[IpNetwork, T]]) -> NetworkMap[T]:
    """`networks` may nest, in any order; of the same network twice, the later counts."""
    by_family: dict[int, list[tuple[int, int, T]]] = {4: [], 6: []}
    for network, value in networks:
        first = int(network.network_address)
        last = first + (1 << (network.max_prefixlen - network.prefixlen)) - 1
        by_family[network.version].append((first, last, value))
    return NetworkMap(_flat(by_family[4], 32), _flat(by_family[6], 128))


def overlay(layers: Sequence[Spans[Hashable]]) -> Spans[Hashable]:
    """Everything that the layers say of each address, together. No layer: everybody is alike."""
    if len(layers) == 1:
        return layers[0]
    starts = sorted({0, *(start for layer in layers for start in layer.starts)})
    columns = [[layer.values[bisect_right(layer.starts, start) - 1] for start in starts] for layer in layers]
    rows = tuple(zip(*columns, strict=True)) if columns else ((),)
    return Spans(tuple(starts), rows)


def _flat(networks: Iterable[tuple[int, int, T]], width: int) -> Spans[T | None]:
    """A walk over the networks from left to right; `inside` are those that the walk is in, the longest prefix last."""
    starts: list[int] = [0]
    values: list[T | None] = [None]
    inside: list[tuple[int, T]] = []

    def put(start: int, value: T | None) -> None:
        if starts[-1] == start:
            starts.pop()
            values.pop()
        if not values or values[-1] != value:
            starts.append(start)
            values.append(value)

    def leave(upto: int) -> None:
        while inside and inside[-1][0] < upto:
            end, _ = inside.pop()
            put(end + 1, inside[-1][1] if inside else None)

    for first, last, value in sorted(networks, key=lambda network: (network[0], -network[1])):
        leave(first)
        inside.append((last, value))
        put(first, value)
    leave((1 << width) - 1)
    return Spans(tuple(starts), tuple(values))


def _parting_bit(one: int, other: int, width: int) -> int:
    """How many bits of an address it takes to tell it from another."""
    return width - (one ^ other).bit_length() + 1
