"""The handlers of forced states and approvals: `forcing` says what they mean, `routes` has their lines."""

from __future__ import annotations

from typing import Any

from gslb import clock
from gslb.control import changes, forcing
from gslb.control.answers import common
from gslb.control.bodies.forcing_messages import ApprovalRequest, ForceKey, ForceRequest
from gslb.control.publishing import Publisher
from gslb.control.status import reachable
from gslb.model.words import format_duration
from gslb.snapshot.intent import Approval, Forced, Provenance
from gslb.snapshot.types import SiteName, Snapshot
from gslb.store import AuditEntry

__all__ = ["approve", "force", "unforce"]


async def force(publisher: Publisher, wanted: ForceRequest) -> dict[str, Any]:
    """As messages.ForceChange."""
    now_s = clock.wall_s()
    expires_s = None if wanted.expires_in_s is None else now_s + wanted.expires_in_s
    by = Provenance(author=wanted.author, reason=wanted.reason, at_s=now_s, expires_s=expires_s)
    item = Forced(site=wanted.site, app=wanted.app, state=wanted.state, by=by)
    lasting = "" if wanted.expires_in_s is None else f" --for {format_duration(wanted.expires_in_s)}"
    audit = _audit(by, "force", f"{_scope(wanted.site, wanted.app, wanted.state)}{lasting}")
    published = await publisher.change(lambda intent: forcing.force(changes.require(intent), item), audit)
    before, after = (_forced(snapshot, wanted.site, wanted.app) for snapshot in (published.before, published.after))
    undo = None if before == after else f"gslb unforce {_scope(wanted.site, wanted.app)}"
    return {"before": before, "after": after, "undo": undo, **common(published)}


async def unforce(publisher: Publisher, site: str, query: ForceKey) -> dict[str, Any]:
    """As messages.ForceChange."""
    by = Provenance(author=query.author, reason=query.reason, at_s=clock.wall_s())
    audit = _audit(by, "unforce", _scope(site, query.app))
    published = await publisher.change(lambda intent: forcing.unforce(changes.require(intent), site, query.app), audit)
    before, after = (_forced(snapshot, site, query.app) for snapshot in (published.before, published.after))
    was = next((state.removeprefix("forced ") for state in before.values() if state.startswith("forced")), "up")
    undo = None if before == after else f"gslb force {_scope(site, query.app, was)} --reason TEXT"
    return {"before": before, "after": after, "undo": undo, **common(published)}


async def approve(publisher: Publisher, wanted: ApprovalRequest) -> dict[str, Any]:
    """As messages.ApprovalChange. It cannot be taken back, as what follows from it has happened."""
    await publisher.refresh()
    reached = reachable(publisher.roles(), publisher.ages_s())
    about = (wanted.app, wanted.site)
    seen = [told for state in reached for told in state.verdicts if (told.app, told.site) == about]
    by = Provenance(author=wanted.author, reason=wanted.reason, at_s=clock.wall_s())
    item = Approval(app=wanted.app, site=wanted.site, what=wanted.what, by=by)
    audit = _audit(by, f"approve-{wanted.what}", f"{wanted.app} {wanted.site}")
    published = await publisher.change(lambda intent: forcing.approve(changes.require(intent), item, seen), audit)
    back = "gslb resume" if wanted.what == "failover" else "gslb drain"
    undo = f"{back} {wanted.app} {wanted.site}" if back == "gslb resume" else f"{back} {wanted.site} --app {wanted.app}"
    before = "; ".join(dict.fromkeys(f"{told.state}: {told.reason}" for told in seen))
    after = "may leave the answers" if wanted.what == "failover" else "comes back as soon as it is well"
    return {"before": {wanted.app: before}, "after": {wanted.app: after}, "undo": undo, **common(published)}


def _audit(by: Provenance, action: str, detail: str) -> AuditEntry:
    return AuditEntry(at_s=by.at_s, author=by.author, action=action, detail=detail, reason=by.reason)


def _scope(site: str, app: str | None, state: str = "") -> str:
    return site + (f" {state}" if state else "") + (f" --app {app}" if app else "")


def _forced(snapshot: Snapshot | None, site: str, app: str | None) -> dict[str, str]:
    apps = snapshot.apps if snapshot else {}
    found = {name: item.forced_state(SiteName(site)) for name, item in apps.items() if app in (None, name)}
    return {name: f"forced {forced.state}" if forced else "as it is seen" for name, forced in found.items()}
