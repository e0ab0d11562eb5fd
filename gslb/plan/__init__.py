"""Two policies -> who moves, in percent, what becomes unreachable, and which guard rails stand against it. Pure."""

from gslb.plan.make import blocked_plan, make_plan
from gslb.plan.markdown import markdown
from gslb.plan.moves import serving_sites
from gslb.plan.paths import policy_changes
from gslb.plan.rules import ROLLBACK_WAIVES, RULES
from gslb.plan.text import differences, summary, text_lines
from gslb.plan.types import Plan, Refusal, Side

__all__ = [
    "ROLLBACK_WAIVES", "RULES", "Plan", "Refusal", "Side", "blocked_plan", "differences", "make_plan", "markdown",
    "policy_changes", "serving_sites", "summary", "text_lines",
]  # fmt: skip
