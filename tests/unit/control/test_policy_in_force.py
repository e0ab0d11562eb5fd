"""`GET /v1/policy`: what other tools compare the world with."""

import pytest

from gslb.control.http.client import Client
from gslb.errors import RefusedError
from gslb.model.policy import Policy
from gslb.snapshot.intent import Intent
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, policy

ZONE = {"name": "gslb.example.com", "nameservers": {"ns1": ["198.51.100.53"]}, "records": "a 1 IN TYPE1 \\# 0 "}


def test_the_policy_reads_back_as_it_was_without_static_records(tmp_path):
    given = policy(zone=ZONE, zones=[{**ZONE, "name": "example.org"}])
    with served(MemoryPublisher(Intent(revision=9, policy=given)), tmp_path) as (socket, url):
        told = Client(str(socket)).get("/v1/policy")
        assert Client(url).get("/v1/policy") == told
    assert told["revision"] == 9
    bare = policy(zone={**ZONE, "records": None}, zones=[{**ZONE, "name": "example.org", "records": None}])
    assert Policy.model_validate(told["policy"]) == bare


def test_before_the_first_policy_it_says_so(tmp_path):
    with served(MemoryPublisher(), tmp_path) as (socket, _), pytest.raises(RefusedError, match="no-policy"):
        Client(str(socket)).get("/v1/policy")
