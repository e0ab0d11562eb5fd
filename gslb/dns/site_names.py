"""Names that stand for one site of an app, such as `shop--dc`: static records of the zone that they lie in.

They are for looking at a site that clients are not sent to, so no health, drain or weight is asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from gslb.dns.tables import Qtype
from gslb.dns.zone import Records, Rrset
from gslb.model.wire_name import ancestors, from_text
from gslb.snapshot.types import Site, Snapshot

__all__ = ["site_records"]


def site_records(snapshot: Snapshot, apexes: Collection[bytes]) -> Mapping[bytes, Records]:
    """A and AAAA records of all such names, by the apex of their zone, with the app's TTL. They have no HTTPS record,
    because a certificate need not know them."""
    found: dict[bytes, Records] = {apex: {} for apex in apexes}
    for app in snapshot.apps.values():
        sets = {site: dict(_addresses(snapshot.sites[site], app.ttl_s)) for site in set(app.site_hosts.values())}
        for name, site in app.site_hosts.items():
            owner = from_text(name)
            apex = next(above for above in ancestors(owner) if above in found)
            found[apex][owner] = sets[site]
    return found


def _addresses(site: Site, ttl_s: int) -> Iterable[tuple[int, Rrset]]:
    public = [ip for edge in site.edges for ip in edge.public]
    for qtype, version in ((Qtype.A, 4), (Qtype.AAAA, 6)):
        datas = [ip.packed for ip in dict.fromkeys(public) if ip.version == version]
        if datas:
            yield qtype, Rrset(ttl_s, datas)
