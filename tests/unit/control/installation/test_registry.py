"""Documents to machines, machines to peers: what does not read is told, numbers only rise."""

import pytest

from gslb.control.installation.registry import Machine, document_name, registry_of
from gslb.control.installation.rosters import REGISTERED, registered, roster_for, roster_of
from gslb.control.protocol import Roster, RosterHeld

URLS = {"dns": "https://192.0.2.1:8443", "edge-dc": "https://192.0.2.1:8444"}


def document(name, number=1, **more):
    machine = Machine(name=name, roles=("dns", "edge"), site="dc", processes=URLS, **more)
    return document_name(name), number, machine.model_dump_json().encode()


def test_every_process_of_an_active_machine_is_a_peer_with_its_identity():
    made = registry_of([document("m2", 3), document("m1", 4), document("gone", 5, state="removed")])
    assert made.number == 12
    assert [machine.name for machine in made.active()] == ["m1", "m2"]
    peers = registered(made, "gslb.example")
    assert [(peer.name, peer.role, peer.address, peer.spiffe) for peer in peers[:2]] == [
        ("m1/dns", "dns", URLS["dns"], "spiffe://gslb.example/m1/dns"),
        ("m1/edge-dc", "edge", URLS["edge-dc"], "spiffe://gslb.example/m1/edge/dc"),
    ]
    assert peers[1].site == "dc"


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b"\xff", document("other")[2]])
def test_a_document_that_does_not_read_is_named_and_harms_no_other(value):
    made = registry_of([("machines/m1", 2, value), document("m2")])
    assert (set(made.machines), made.damaged, made.number) == ({"m2"}, ("machines/m1",), 3)


def test_a_deleted_document_still_counts():
    assert registry_of([("machines/m1", 2, None)]).number == 2


@pytest.mark.parametrize(
    ("held", "sent"), [(0, True), (9, True), (REGISTERED + 2, True), (REGISTERED + 3, False), (REGISTERED + 4, False)]
)
def test_a_registry_is_handed_to_who_holds_an_older_one_alone(held, sent):
    peers = registered(registry_of([document("m1", 3)]), "gslb.example")
    roster = roster_for(roster_of(peers, 3), RosterHeld(number=held, digest="other"))
    assert (roster is not None) == sent
    assert roster is None or roster.number == REGISTERED + 3


def test_machines_that_were_removed_stand_in_the_roster_of_all_that_are_left():
    made = registry_of([document("m1", 3), document("m3", 2, state="removed"), document("m2", 2, state="removed")])
    roster = roster_for(roster_of(registered(made, "d"), made.number, made.removed()), RosterHeld())
    assert roster.removed == ("m2", "m3")
    assert roster.digest != Roster(peers=roster.peers).digest
    later = roster_of(registered(made, "d"), 9, made.removed())
    assert roster_for(later, RosterHeld(number=1, digest=roster.digest)) is None
