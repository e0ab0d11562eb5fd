"""What exporting a zone answers: the file with its heading. What stands in it is the DNS room's to say. Pure."""

from __future__ import annotations

from typing import Any

from gslb.control.bodies.export_messages import ZoneFileQuery
from gslb.dns.zone_export import export_zone, zone_names
from gslb.model.words import iso
from gslb.snapshot.types import LiveState, Snapshot

__all__ = ["zone_file"]

_SERIALS = 1 << 32


def zone_file(snapshot: Snapshot, live: LiveState, wanted: ZoneFileQuery, wall_s: float) -> dict[str, Any]:
    """As messages.ZoneFile. The serial is the time (Unix seconds): it rises from export to export, while health changes
    and the policy does not. Raises RefusedError as `export_zone` does."""
    zones = zone_names(snapshot)
    name = wanted.zone.removesuffix(".").lower() if wanted.zone else zones[0]
    serial = int(wall_s) % _SERIALS
    made = export_zone(snapshot, live, name, serial, wanted.ttl_s, unsigned=wanted.unsigned)
    heading = (
        f"; {name}, exported by gslb at {iso(wall_s)}: environment {snapshot.environment}, version {snapshot.version}\n"
        "; the answers of that moment, alike for everybody, and not signed\n"
    )
    return {
        "environment": snapshot.environment,
        "zone": name,
        "zones": list(zones),
        "serial": serial,
        "text": heading + made.text,
        "flattened": [item._asdict() for item in made.flattened],
    }
