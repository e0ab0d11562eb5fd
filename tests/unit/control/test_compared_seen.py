"""How comparisons stand, added up over the edges, without a word of what was answered."""

from __future__ import annotations

from gslb.control.bodies.status_messages import ComparedSeen, ComparerSeen
from gslb.control.compared import ComparedCounts, ComparedField, ComparerLife, ComparerState
from gslb.control.compared_seen import compared_seen, comparer_seen, told_by_route
from gslb.model.words import iso
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.unit.control.test_mirror_report import compared_policy
from tests.unit.control.world import NOW_S, dns_state, edge_state, intent

SNAPSHOT = compile_snapshot(Intent(revision=1, policy=compared_policy()), NOW_S)


def pay(snapshot=SNAPSHOT):
    return next(route for route in snapshot.apps["shop"].routes if route.name == "pay")


def counts(pairs, *fields, route="pay", **verdicts):
    return ComparedCounts(
        app="shop", route=route, target="checkout", pairs=pairs, different=pairs // 2, verdicts=verdicts, fields=fields
    )


def field(path, only_new):
    return ComparedField(path=path, kind="value", seen=only_new, only_new=only_new)


def test_what_all_edges_tell_is_added_up_and_judged_anew():
    told = [counts(10, field("body.a", 8), difference=0), counts(20, field("body.a", 8), field("body.b", 3), noise=2)]
    seen = ComparedSeen.model_validate(compared_seen(pay(), told))
    assert (seen.reference, seen.target) == ("monolith", "checkout")
    assert (seen.pairs, seen.equal, seen.different, seen.verdicts) == (30, 15, 15, {"noise": 2})
    assert [(one.path, one.verdict, one.seen) for one in seen.fields] == [
        ("body.a", "difference", 16),
        ("body.b", "unsettled", 3),
    ]


def test_of_many_fields_five_are_told():
    seen = compared_seen(pay(), [counts(99, *(field(f"body.f{number}", 20 + number) for number in range(8)))])
    assert [one["path"] for one in seen["fields"]] == [f"body.f{number}" for number in (7, 6, 5, 4, 3)]


def test_nothing_heard_and_nothing_compared():
    seen = ComparedSeen.model_validate(compared_seen(pay(), []))
    assert (seen.pairs, seen.verdicts, seen.fields) == (0, {}, [])
    assert compared_seen(pay(compile_snapshot(intent(), NOW_S)), []) is None


def test_how_often_a_comparer_was_started_again_is_told_also_while_it_is_silent():
    edge = edge_state(SNAPSHOT, "dc").edge
    assert comparer_seen(edge) is None
    comparing = edge.model_copy(update={"comparing": True, "comparer": ComparerState(pid=1)})
    seen = ComparerSeen.model_validate(comparer_seen(comparing))
    assert (seen.answers, seen.restarts, seen.last_end, seen.last_ended) == (True, 0, "", None)
    life = ComparerLife(restarts=2, last_end="the comparer ended", last_end_wall_s=NOW_S)
    silent = comparing.model_copy(update={"comparer": None, "comparer_life": life})
    seen = ComparerSeen.model_validate(comparer_seen(silent))
    assert (seen.answers, seen.restarts, seen.last_ended) == (False, 2, iso(NOW_S))


def test_who_tells_of_which_route():
    def edge(site, *comparisons):
        state = edge_state(SNAPSHOT, site)
        comparer = ComparerState(pid=1, comparisons=comparisons)
        return state.model_copy(update={"edge": state.edge.model_copy(update={"comparer": comparer})})

    here, there, other = counts(1), counts(2), counts(3, route="find")
    reached = [edge("dc", here, other), edge("aws", there), edge_state(SNAPSHOT, "lab"), dns_state(SNAPSHOT)]
    assert told_by_route(reached) == {("shop", "pay"): [here, there], ("shop", "find"): [other]}
