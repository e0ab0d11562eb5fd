"""What nodes look at for a snapshot. Front doors stand in test_compile."""

from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.targets import check_targets
from tests.unit.model.good_policy import GOOD, load


def test_named_checks_decide_every_address_of_the_sites_that_name_them():
    text = GOOD.replace("    hosts: [shop]\n", "    hosts: [shop]\n    ready: {dc: [any], aws: db}\n")
    checks = """\
checks:
  any: {calculated: {of: [db, port]}}
  db: {http: {url: "http://10.1.0.20:8008/primary", expect: {status: [200-299]}}, interval: 5s, invert: true}
  port: {tcp: {to: "10.1.0.20:5432"}}
"""
    snapshot = compile_snapshot(Intent(revision=1, policy=load(checks + text).policy), 0.0)
    targets = {target.subject: target for target in check_targets(snapshot)}
    assert list(targets)[-1] == "any", "after its members"
    assert [str(address) for _app, address in targets["any"].places] == ["192.0.2.10"]
    assert [str(address) for _app, address in targets["db"].places] == ["198.51.100.20"]
    assert targets["port"].places == ()
    db, total = targets["db"].check, targets["any"].check
    assert (db.kind, db.interval_s, db.invert, db.ask.expect.status) == ("http", 5.0, True, ((200, 299),))
    assert (total.ask.at_least, total.rise, total.fall) == (2, 1, 1)
