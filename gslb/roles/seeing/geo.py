"""The database of places: a file in MaxMind's format, read whole for DNS and asked about one client for `explain`.

Reading alone: which site is near is steering's word. A file is replaced by renaming (as its updaters do), never written
in place, because it stays mapped into memory while it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import maxminddb

from gslb.errors import HostError
from gslb.model.words import IpAddress, IpNetwork
from gslb.snapshot.networks import GeoMap, NetworkMap, Place, network_map

__all__ = ["GeoFile"]


class GeoFile:
    """`path` None: there is no database, and no client's place is known."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def read(self) -> GeoMap | None:
        """Every network of the database; 5 s for 500,000. Raises HostError."""
        if self._path is None:
            return None
        self._seen = self._fingerprint()
        with self._open(self._path) as reader:
            try:
                return network_map(_networks(reader))
            except (maxminddb.InvalidDatabaseError, ValueError) as error:
                raise _unreadable(self._path, error) from None

    def ask(self, client: IpAddress | None) -> GeoMap | None:
        """What the database says of one client, as a map of the network that it says it of. Raises HostError."""
        if self._path is None:
            return None
        if client is None:
            return NetworkMap()
        with self._open(self._path) as reader:
            if client.version == 6 and reader.metadata().ip_version == 4:
                return NetworkMap()
            try:
                record, length = reader.get_with_prefix_len(client)
            except (maxminddb.InvalidDatabaseError, ValueError) as error:
                raise _unreadable(self._path, error) from None
        length = min(length, client.max_prefixlen)
        place = _place(record)
        return network_map([(ip_network((client, length), strict=False), place)] if place else [])

    def has_changed(self) -> bool:
        """Whether the file is another one than was read last. One that is gone has not changed: the last one holds."""
        return self._path is not None and self._fingerprint() not in (None, self._seen)

    def _fingerprint(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino) if found else None

    def _open(self, path: Path) -> maxminddb.Reader:
        try:
            return maxminddb.open_database(path, maxminddb.MODE_AUTO)
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> HostError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return HostError(
        f"cannot read the database of places {path}: {reason}", "name a file in MaxMind's format (.mmdb): --geo FILE"
    )


def _networks(reader: maxminddb.Reader) -> Iterator[tuple[IpNetwork, Place]]:
    """Many networks share a place: one object for each."""
    places: dict[Place, Place] = {}
    for network, record in reader:
        place = _place(record)
        if place is not None:
            yield network, places.setdefault(place, place)


def _place(record: Any) -> Place | None:
    """None where a record says nothing that helps, whatever it holds."""
    country = _text(_part(record, "country").get("iso_code"))
    continent = _text(_part(record, "continent").get("code"))
    at = _part(record, "location")
    lat, lon = at.get("latitude"), at.get("longitude")
    if isinstance(lat, int | float) and isinstance(lon, int | float):
        return Place(country, continent, float(lat), float(lon))
    return Place(country, continent) if country or continent else None


def _part(record: Any, key: str) -> Mapping[str, Any]:
    found = record.get(key) if isinstance(record, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
