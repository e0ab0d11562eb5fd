"""Answers that verdicts may bring are thought of before they happen: also those of one site that lives alone."""

from gslb.dns.compose import compose, recompile
from gslb.dns.dnssec.ahead import bodies_ahead
from gslb.dns.dnssec.seal import pool_bodies
from gslb.snapshot.types import LiveState
from tests.unit.dns.policies import app, down, snapshot

DC, AWS, GCP = "192.0.2.10", "198.51.100.20", "203.0.113.30"


def test_each_site_alone_is_signed_ahead_where_several_are_answered_at_once():
    made = snapshot({"shop": app("healthy", {"priority": ["dc", "aws", "gcp"]}, {"first": 2})})
    tables = compose(made, LiveState())
    ahead = bodies_ahead(tables, made)
    for dead in ((DC,), (DC, AWS), (AWS, GCP), (DC, GCP), (DC, AWS, GCP)):
        for place, bodies in pool_bodies(recompile(tables, made, down(*dead))).items():
            assert bodies.keys() <= ahead[place].keys(), dead
