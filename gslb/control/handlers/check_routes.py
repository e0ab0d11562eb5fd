"""What the HTTP API does for named checks. The lines of the table stand in `routes`, what is told in `checks`."""

from __future__ import annotations

from typing import Any

import structlog

from gslb import clock
from gslb.control.bodies.check_messages import CheckPush
from gslb.control.changes import require
from gslb.control.checks import checks_seen, pushed_check
from gslb.control.publishing import Publisher
from gslb.control.status import reachable

__all__ = ["push", "seen"]


async def seen(publisher: Publisher) -> dict[str, Any]:
    """As check_messages.ChecksSeen."""
    await publisher.refresh()
    current = publisher.current()
    snapshot = current[1] if current else None
    reached = reachable(publisher.roles(), publisher.ages_s())
    return {
        "environment": snapshot.environment if snapshot else None,
        "checks": checks_seen(snapshot, reached),
    }


async def push(publisher: Publisher, name: str, wanted: CheckPush) -> dict[str, Any]:
    """As check_messages.CheckPushed. Raises RefusedError as pushed_check."""
    current = publisher.current()
    require(current[0] if current else None)
    assert current is not None
    check = pushed_check(current[1], name)
    who = wanted.author or "somebody"
    reason = f"{wanted.reason or wanted.state} (pushed by {who})"
    holds_s = publisher.pushed.push(check, reason, clock.mono_s(), ok=wanted.state == "up")
    structlog.get_logger().info("a state was pushed", check=name, state=wanted.state, reason=reason)
    return {
        "environment": current[1].environment,
        "check": name,
        "state": wanted.state,
        "holds_s": holds_s,
        "nodes": await publisher.hand_pushed(),
    }
