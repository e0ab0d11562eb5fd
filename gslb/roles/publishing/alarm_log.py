"""Tells the log which alarms begin and end, each once. What an alarm is stands in `control.alarms`."""

from __future__ import annotations

import asyncio

import structlog

from gslb import clock
from gslb.control.alarms import Alarm, alarms_now
from gslb.control.publishing import Publisher

__all__ = ["LOOK_S", "follow_alarms"]

LOOK_S = 1.0


async def follow_alarms(publisher: Publisher) -> None:
    """For ever."""
    told: dict[tuple[str, str], Alarm] = {}
    log = structlog.get_logger()
    while True:
        standing = {(alarm.rule, alarm.subject): alarm for alarm in alarms_now(publisher, clock.wall_s())}
        for key in standing.keys() - told.keys():
            alarm = standing[key]
            say = log.error if alarm.severity == "critical" else log.warning
            say("alarm", rule=alarm.rule, subject=alarm.subject, why=alarm.message, remedy=alarm.remedy)
        for key in told.keys() - standing.keys():
            log.info("an alarm is over", rule=key[0], subject=key[1])
        told = standing
        await asyncio.sleep(LOOK_S)
