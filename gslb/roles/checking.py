"""What role processes that look at things have in common: the tools of their checks."""

from __future__ import annotations

from gslb.health.checks.tools import Tools
from gslb.roles.settings import Settings

__all__ = ["tools_of"]


def tools_of(settings: Settings) -> Tools:
    return Tools(commands=settings.check_commands, secrets=settings.check_secrets)
