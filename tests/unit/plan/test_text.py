"""A plan for people: lines, one line, Markdown."""

from __future__ import annotations

import os
from pathlib import Path

from gslb.errors import Problem
from gslb.plan import blocked_plan, markdown, summary, text_lines
from gslb.plan import markdown as markdown_of
from gslb.plan.types import PathChange
from gslb.snapshot.intent import Drain, Overrides, Provenance, Shift
from tests.unit.plan.world import BASE, changed, cut, planned, put, side

GOLDEN = Path(__file__).parents[2] / "golden" / "plan" / "everything.md"
BY = Provenance(author="ann", reason="power | work", at_s=1.0)
SHIFTED = Overrides(
    drains=(Drain(site="dc", by=BY),),
    shifts=(Shift(app="shop", route="rest", split={"monolith": 90, "checkout": 10}, by=BY),),
)


def everything():
    """A bit of each kind."""
    return planned(
        put("apps.shop.steer.1.weighted", {"dc": 10, "aws": 30, "lab": 60}),
        put("apps.shop.hosts", ["shop", "buy"]),
        put("apps.shop.ttl", "20s"),
        put("apps.shop.routes.0", {"name": "pay", "match": {"regex": "/a|`b`"}, "split": {"checkout": 100}}),
        put("apps.shop.backends.checkout", {"check": {"path": "/"}}),
        put("apps.news", {**BASE["apps"]["blog"], "hosts": ["news"], "failover": "manual"}),
        cut("apps.blog"),
        put("sites.new", {"edges": [{"public": ["192.0.2.77", "2001:db8:7::1"]}]}),
        put("zone.dnssec", True),
        overrides=SHIFTED,
        waived={"large-move": "--allow"},
    )


def lines(plan, **given):
    return [line.text for line in text_lines(plan, **given)]


def test_markdown_is_the_one_committed():
    """`GOLDEN_UPDATE=1` writes it anew: read the difference before you commit it."""
    text = markdown(everything())
    if os.environ.get("GOLDEN_UPDATE"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_the_guard_rails_are_read_last_and_say_what_holds():
    told = list(text_lines(everything()))
    assert told[0].text == "environment test: revision 1 -> 2"
    refused = [line.text for line in told if line.kind == "refused"]
    assert refused == [
        "[app-removed] blog goes: blog.gslb.example.com cannot be reached from then on",
        "[host-removed] store.gslb.example.com of shop cannot be reached from then on",
    ]
    assert told[-1].text == "    allowed: --allow"
    assert "    it takes other requests than before: see its match below" in lines(everything())
    assert "override: dc stays drained by ann (power | work), though the policy has it serve 2 of 2 apps" in lines(
        everything()
    )
    assert any(
        line.startswith("  a dead site is answered for at most: until a person acts") for line in lines(everything())
    )


def test_shares_stand_below_each_other_with_before_and_after():
    told = lines(planned(put("apps.shop.steer.1.weighted", {"dc": 60, "lab": 40})))
    start = told.index("  clients, everybody: 40 % move")
    assert told[start + 1 : start + 4] == ["    dc   80 % -> 60 %", "    aws  20 % -> -", "    lab  - -> 40 %"]


def test_routes_that_go_or_only_match_anew_show_no_shares():
    told = lines(planned(cut("apps.shop.routes.1"), put("apps.shop.routes.0.match", {"path": "/pay"})))
    start = told.index("app shop changed") + 1
    assert told[start : start + 3] == [
        "  route pay: its split stays",
        "    it takes other requests than before: see its match below",
        "  route rest removed: its requests take the next route that matches, or 404",
    ]


def test_nothing_to_say():
    assert lines(planned())[1:] == ["nothing would change: the policies are the same"]
    assert "Nothing would change." in markdown(planned())
    assert summary(planned()) == "environment test: revision 1 -> 2: 0 differences"


def test_one_line_tells_the_worst_of_each():
    assert summary(everything()) == (
        "environment test: revision 1 -> 2: 66.67 % of clients move at most; apps added: news; apps changed: shop;"
        " apps removed: blog; site new added; zone gslb.example.com changed;"
        " guard rails: app-removed, host-removed, large-move; 16 differences"
    )
    assert summary(planned(before=None)).startswith("environment test: no policy -> 2: apps added: shop, blog;")


def test_long_plans_are_cut_and_say_so():
    routes = [{"name": f"r{n}", "match": {"path": f"/{n}"}, "split": {"monolith": 100}} for n in range(150)]
    plan = planned(put("apps.shop.routes", routes)).model_copy(update={"left_out": 7})
    told = lines(plan, changes_shown=10)
    assert "  52 more routes; --json lists them" in told
    assert any(line.endswith(" more; --json lists them") for line in told)
    assert told[-1] == "7 more entries are not listed"
    text = markdown(plan)
    assert "More rows are left out." in text
    assert "more are left out." in text


def test_what_must_be_undone_first_is_told():
    policy = changed(cut("sites.lab"))
    problem = Problem("overrides", 0, 0, "override-dangling", "the drain of lab", "undo it first: gslb undrain lab")
    plan = blocked_plan(side(BASE), side(policy, revision=2).intent, [problem])
    assert "override: [override-dangling] the drain of lab" in lines(plan)
    assert "- **refused** \\[override-dangling\\] the drain of lab; undo it first: gslb undrain lab" in markdown(plan)


def test_no_value_of_a_policy_becomes_markup():
    change = PathChange(path="a`b", before="``", after='"<script>|</script>"')
    text = markdown_of(planned().model_copy(update={"changes": (change,)}))
    assert '| `` a`b `` | ``` `` ``` | `"<script>\\|</script>"` |' in text
