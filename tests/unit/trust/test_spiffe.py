"""What is an id and what is none (SPIFFE-ID sections 2.1 and 2.2)."""

from __future__ import annotations

import pytest

from gslb.errors import RefusedError
from gslb.trust.spiffe import SpiffeId, parse_spiffe, process_id, require_machine_name

GOOD = [
    ("spiffe://gslb.example.com/m1/control", "control", "m1", None, "control"),
    ("spiffe://gslb.example.com/m1/dns", "dns", "m1", None, "dns"),
    ("spiffe://gslb.example.com/m1/observer", "observer", "m1", None, "observer"),
    ("spiffe://gslb.example.com/m1/edge/dc", "edge", "m1", "dc", "edge-dc"),
    ("spiffe://gslb.example.com/operator/ann.b", "operator", "ann.b", None, None),
    ("spiffe://gslb.example.com/server/etcd-1", "server", "etcd-1", None, None),
    ("spiffe://gslb.example.com/operators/dns", "dns", "operators", None, "dns"),
]
BAD = [
    "", "x", "spiffe://", "spiffe://d", "spiffe://d/", "spiffe://d/m1", "spiffe://d/m1/", "spiffe://d/m1/edge",
    "spiffe://d/m1/edge/", "spiffe://d/m1/edge/dc/x", "spiffe://d/m1/dns/", "spiffe://d/m1/dns/x", "spiffe://d//dns",
    "spiffe://d/M1/dns", "spiffe://D/m1/dns", "https://d/m1/dns", "spiffe://d/m1/server", "spiffe://d/operator/",
    "spiffe://d/operator/a/b", "spiffe://d/operator/edge/dc", "spiffe://d/server/../x", "spiffe://d/../dns",
    "spiffe://u@d/m1/dns", "spiffe://d:1/m1/dns", "spiffe://d/m1/dns?x", "spiffe://d/m1/dns#x", "spiffe://d/m%31/dns",
    "spiffe:///m1/dns", f"spiffe://d/{'m' * 64}/dns", "spiffe://d/m1/edge/DC", "spiffe://d/server/edge/dc",
    " spiffe://d/m1/dns", "spiffe://d/m1/dns\n",
]  # fmt: skip


@pytest.mark.parametrize(("uri", "kind", "name", "site", "process"), GOOD)
def test_forms(uri, kind, name, site, process):
    found = parse_spiffe(uri)
    assert found == SpiffeId("gslb.example.com", kind, name, site)
    assert (found.uri, str(found), found.process) == (uri, uri, process)


@pytest.mark.parametrize("uri", BAD)
def test_whatever_else_is_no_id(uri):
    with pytest.raises(RefusedError, match="spiffe-id"):
        parse_spiffe(uri)


@pytest.mark.parametrize("process", ["control", "dns", "observer", "edge-dc", "edge-dc-2"])
def test_a_process_and_its_id(process):
    made = process_id("d", "m1", process)
    assert (made.process, made.name) == (process, "m1")


@pytest.mark.parametrize("process", ["", "edge", "edge-", "x", "dns-dc", "operator", "operator-ann"])
def test_no_process(process):
    with pytest.raises(RefusedError):
        process_id("d", "m1", process)


def test_names_of_machines():
    require_machine_name("m-1")
    for name in ("", "operator", "server", "M", "a.b", "-a", "a" * 64):
        with pytest.raises(RefusedError, match="machine-name"):
            require_machine_name(name)
