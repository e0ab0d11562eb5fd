"""Join tokens: their form, and whether one may be spent."""

from __future__ import annotations

import pytest

from gslb.errors import RefusedError
from gslb.snapshot.intent import Provenance
from gslb.trust.join import JoinToken, Ticket, parse_secret, parse_token, processes_of, require_processes, spend

NOW_S = 1_790_000_000.0
TOKEN = JoinToken("0123456789abcdef", bytes(range(32)), bytes(range(32, 64)), ("dns", "edge"), ("dc", "aws-2"))


def ticket(**changed):
    by = Provenance(at_s=NOW_S, author="ann", expires_s=NOW_S + 3600)
    return Ticket(**{"hash": TOKEN.hash, "roles": ("dns", "edge"), "sites": ("dc",), "by": by, **changed})


def test_a_token_reads_back_and_keeps_its_secret():
    assert parse_token(f" {TOKEN.text}\n") == TOKEN
    secret = TOKEN.text.split(".")[2]
    assert secret not in repr(TOKEN)
    assert TOKEN.hash not in repr(ticket())
    assert TOKEN.text.endswith(".dns+edge:dc+aws-2")
    assert TOKEN.processes == ("dns", "edge-dc", "edge-aws-2")
    assert parse_secret(TOKEN.secret_text) == TOKEN.secret


PARTS = TOKEN.text.split(".")


def other(at, part):
    return ".".join([*PARTS[:at], part, *PARTS[at + 1 :]])


@pytest.mark.parametrize(
    "text",
    [
        "", "gslbjoin", "....", TOKEN.text + ".x", TOKEN.text + "+", other(0, "gslb_join"), other(1, PARTS[1].upper()),
        other(1, "../x"), other(2, PARTS[2] + "="), other(2, "!" * 43), other(2, PARTS[2][:-1] + "9"), other(3, ""),
        other(2, PARTS[2][:-1]), other(4, ""), other(4, "dns:"), other(4, "+dns"), other(4, "edge:dc+"),
        other(4, "dns+edge:" + "+".join(["dc"] * 2000)), "x" * 10_000, "ü.ü.ü.ü.ü", ".".join(PARTS[:4]),
    ],
)  # fmt: skip
def test_no_token(text):
    with pytest.raises(RefusedError) as told:
        parse_token(text)
    assert told.value.rule == "join-token"
    assert PARTS[2][:20] not in str(told.value)


@pytest.mark.parametrize("text", ["A", "!", PARTS[2] + "="])
def test_no_secret(text):
    with pytest.raises(RefusedError, match="join-token"):
        parse_secret(text)


@pytest.mark.parametrize("what", ["pope", "dns:dc", "edge"])
def test_roles_that_there_are_not(what):
    with pytest.raises(RefusedError, match="join-roles"):
        parse_token(other(4, what))


def test_a_ticket_is_spent_once():
    spent = spend(ticket(), TOKEN.secret, "m1", NOW_S)
    assert (spent.used_by, spent.used_at_s) == ("m1", NOW_S)
    with pytest.raises(RefusedError, match="used by the machine m1"):
        spend(spent, TOKEN.secret, "m2", NOW_S)


@pytest.mark.parametrize(
    ("given", "secret", "wall_s", "rule"),
    [
        (None, TOKEN.secret, NOW_S, "join-token"),
        (ticket(), bytes(32), NOW_S, "join-token"),
        (ticket(), b"", NOW_S, "join-token"),
        (ticket(), TOKEN.secret, NOW_S + 3600, "join-token-expired"),
        (ticket(rejoins="m2"), TOKEN.secret, NOW_S, "join-token-machine"),
        (ticket(used_by="m1"), bytes(32), NOW_S, "join-token"),
    ],
)
def test_tickets_that_are_refused(given, secret, wall_s, rule):
    with pytest.raises(RefusedError) as told:
        spend(given, secret, "m1", wall_s)
    assert told.value.rule == rule


def test_a_ticket_without_an_end_and_one_of_the_machine():
    assert spend(ticket(by=Provenance(at_s=NOW_S)), TOKEN.secret, "m1", NOW_S + 1e9).used_by == "m1"
    assert spend(ticket(rejoins="m1"), TOKEN.secret, "m1", NOW_S).used_by == "m1"


@pytest.mark.parametrize(
    ("roles", "sites", "processes"),
    [
        (("dns",), (), ("dns",)),
        (("edge", "dns"), ("dc", "aws"), ("dns", "edge-dc", "edge-aws")),
        (("control", "observer", "dns"), (), ("dns", "observer", "control")),
    ],
)
def test_processes(roles, sites, processes):
    assert processes_of(roles, sites) == processes
    require_processes(ticket(roles=roles, sites=sites), set(processes))
    for others in ((), processes[1:] or ("x",), (*processes, "control-x")):
        with pytest.raises(RefusedError, match="join-roles"):
            require_processes(ticket(roles=roles, sites=sites), others)


@pytest.mark.parametrize(("roles", "sites"), [((), ()), (("operator",), ()), (("edge",), ()), (("dns",), ("dc",))])
def test_no_roles(roles, sites):
    with pytest.raises(RefusedError, match="join-roles"):
        processes_of(roles, sites)
