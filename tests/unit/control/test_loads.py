"""How loaded the sites are, wherever a person or a machine looks."""

import io
import re

from rich.console import Console

from gslb.cli.tables import status_page
from gslb.control.bodies import messages, status_messages
from gslb.control.explain import explain
from gslb.control.scrape.metrics import exposition
from gslb.control.status import status
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.unit.control.world import NOW_S, POLICY, MemoryPublisher, dns_state, policy

SHOP = POLICY["apps"]["shop"] | {"steer": ["healthy", {"shed": {"low": 70, "high": 90}}]}
SITES = {name: site | ({"capacity": 20_000} if name != "lab" else {}) for name, site in POLICY["sites"].items()}


def world(**loads):
    made = MemoryPublisher(Intent(revision=1, policy=policy(sites=SITES, apps={"shop": SHOP})))
    made.hear(dns_state(made.snapshot, loads=loads))
    return made


def seen(of, ages=None):
    got = status(of.current(), of.roles(), ages or of.ages_s(), NOW_S)
    status_messages.Status.model_validate(got)
    return got


def page(of):
    out = io.StringIO()
    Console(width=160, file=out).print(status_page(seen(of)))
    return out.getvalue()


def test_status_has_capacity_and_load():
    got = {name: (s["capacity_per_s"], s["load_percent"]) for name, s in seen(world(dc=0.855))["sites"].items()}
    assert got == {"dc": (20_000, 85.5), "aws": (20_000, None), "lab": (None, None)}


def test_the_loads_of_a_silent_role_are_not_believed():
    assert seen(world(dc=0.5), {"dns": 60.0})["sites"]["dc"]["load_percent"] is None


def test_the_table_shows_the_sites_that_can_be_full():
    text = page(world(dc=1.27))
    assert re.search(r"dc +127 % +20,000", text)
    assert re.search(r"aws +unknown +20,000", text)
    plain = MemoryPublisher(Intent(revision=1, policy=policy()))
    assert "Loads" not in page(plain)


def test_the_metric_is_a_ratio_and_missing_while_nobody_knows():
    text = exposition(world(dc=0.86)).decode()
    assert re.findall(r"^gslb_site_load_ratio.*", text, re.MULTILINE) == ['gslb_site_load_ratio{site="dc"} 0.86']


def test_explain_sheds_as_the_dns_role_does():
    made = world(dc=0.8)
    asked = messages.ExplainQuery(host="shop", client="192.0.2.99")
    told = explain(made.current(), made.roles(), made.ages_s(), asked, NOW_S)
    (step,) = [step for step in told["steps"] if step["filter"] == "shed"]
    assert step["kept"] == ["dc", "aws"]
    assert step["reason"].startswith("shed from 70 % to 90 %: dc at 80 % keeps 50 %, nobody knows the load of aws")
    assert [outcome["probability"] for outcome in told["outcomes"]] == [0.5, 0.5]
    assert told["draw"] == "for 192.0.2.0/24, alike on every node; it stays"
    assert told["drawn"]["sites"] in (["dc"], ["aws"])


def test_a_capacity_is_content_of_a_snapshot():
    bare = compile_snapshot(Intent(revision=1, policy=policy(apps={"shop": SHOP})), NOW_S)
    assert bare.digest != world().snapshot.digest
