"""The whole OpenAPI, as somebody would try it who has nothing else: schemathesis makes the requests and judges."""

from __future__ import annotations

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from gslb.control.http import rate
from gslb.control.http.openapi import describe
from gslb.control.http.routes import TABLE
from gslb.control.tokens import create, hash_of, secret_of
from gslb.snapshot.intent import Token
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, by, intent
from tests.unit.roles.installation import Installation

SECRET = secret_of(bytes(range(32)))
ENDLESS = "/v1/events"
JUDGED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]

load_all_checks()
schema = schemathesis.openapi.from_dict(describe([line for line in TABLE if line.path != ENDLESS]))

KNOWN = {"app": "shop", "route": "pay", "site": "dc", "host": "shop", "zone": "gslb.example.com", "split": {"paper": 1}}


@schema.hook
def map_case(_context, case):
    """What is valid is mostly about something that there is."""
    if case.meta is None or case.meta.generation.mode is GenerationMode.NEGATIVE:
        return case
    for given in (case.path_parameters, case.query, case.body):
        if isinstance(given, dict):
            given.update({name: known for name, known in KNOWN.items() if given.get(name)})
    return case


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    start = create(intent(), Token(name="tester", hash=hash_of(SECRET), role="admin", by=by()), by().at_s)
    publisher, installation = MemoryPublisher(start), Installation(tmp_path_factory.mktemp("m1"))
    publisher.registrar = installation.registrar
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.closing(installation),
        served(publisher, tmp_path_factory.mktemp("api")) as places,
    ):
        patch.setattr(rate, "BURST", 1_000_000)
        yield places[1]


@schema.parametrize()
@settings(
    max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate], database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_what_is_described_is_what_is_done(case, server):
    case.call_and_validate(
        base_url=server, headers={"Authorization": f"Bearer {SECRET}"}, checks=CHECKS.get_by_names(JUDGED)
    )
