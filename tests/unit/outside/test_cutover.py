"""One observation of a name that shall move, one finding; who may issue by CAA; the way back."""

import dataclasses

import pytest

from gslb.errors import RefusedError
from gslb.outside.caa import allowed_issuers, identifiers_of
from gslb.outside.cutover import covering, judge_cutover
from gslb.outside.cutover_report import cutover_report, plan_of
from gslb.outside.cutover_seen import AnswerSeen, CaaSeen, CertificateSeen, CutoverSeen, NameSeen, Plan, Records
from gslb.outside.delegation_seen import Failure, Wanted
from tests.unit.control.world import POLICY, policy
from tests.unit.outside.test_delegation_judge import GOOD as DELEGATED
from tests.unit.outside.test_delegation_judge import KEYS, NOW_S, child, parent
from tests.unit.outside.test_delegation_judge import seen as delegation

NAME, ZONE, TARGET = "shop.example.com", "gslb.example.com", "shop.gslb.example.com"
EDGE = ("192.0.2.10", 80)
PLAN = Plan(NAME, ZONE, target=TARGET, app="shop", hosts=("shop.gslb.example.com", NAME), edges=(EDGE,), ttl_s=10)
INSIDE = dataclasses.replace(PLAN, inside=True)
A = Records(60, ("198.51.100.1", "198.51.100.2"))
SILENT, UNASKED = Failure("silent", "nobody listens on port 443"), Failure("unasked", "this machine has no route to it")
DAY_S = 86_400


def certificate(address="192.0.2.10", **changed):
    given = {"names": (NAME,), "issuer": "Let's Encrypt", "until_s": NOW_S + 60 * DAY_S}
    return CertificateSeen(address, **given | changed)


TODAY = NameSeen("example.com", {"A": A}, 60, ("198.51.100.1", "198.51.100.2"))
OLD = (certificate("198.51.100.1"),)
READY = CutoverSeen(PLAN, TODAY, DELEGATED, None, OLD, (certificate(),), (AnswerSeen(*EDGE, status=200),))


def but(**changed):
    return dataclasses.replace(READY, **changed)


def today(**changed):
    return but(today=dataclasses.replace(TODAY, **changed))


def records(**more):
    return today(records={"A": A, **more})


def planned(**changed):
    return but(plan=dataclasses.replace(PLAN, **changed))


def new(**changed):
    return but(new_certificates=(certificate(**changed),))


def caa(*properties, **changed):
    return but(caa=CaaSeen("example.com", properties), **changed)


def rules(seen):
    return [(finding.severity, finding.rule) for finding in judge_cutover(seen, NOW_S)]


TEXT = Records(60, ('"x"',))
ENDED = {"until_s": NOW_S - 1, "distrust": "certificate has expired"}
OURS_LOST = delegation((parent(nameservers=frozenset(), glue={}),))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (READY, []),
        (planned(app=None, target=None, hosts=(), edges=()), [("error", "no-app")]),
        (planned(hosts=(TARGET,)), [("error", "unknown-host")]),
        (today(zone=SILENT, records={}), [("error", "unseen")]),
        (today(records={"CNAME": Records(60, (f"{TARGET}.",))}), [("note", "moved")]),
        (today(records={"CNAME": Records(60, ("elsewhere.example.net.",))}), []),
        (today(records={}, cached_ttl_s=None), [("note", "new-name")]),
        (today(records={"A": Records(3600, ("198.51.100.1",))}), [("error", "old-ttl")]),
        (today(records={"A": Records(300, ("198.51.100.1",))}), []),
        (today(cached_ttl_s=1800), [("error", "old-ttl-kept")]),
        (today(cached_ttl_s=None), []),
        (today(zone=NAME, records={"A": A, "SOA": TEXT, "NS": TEXT, "MX": TEXT}), [("error", "apex")]),
        (records(MX=TEXT, TXT=TEXT), [("error", "hidden")]),
        (but(plan=INSIDE), []),
        (but(plan=INSIDE, today=dataclasses.replace(TODAY, zone=ZONE)), [("note", "moved")]),
        (but(plan=INSIDE, today=dataclasses.replace(TODAY, records={"A": A, "MX": TEXT})), [("warning", "left-behind")]),
        (but(answers=(AnswerSeen(*EDGE, SILENT),)), [("error", "edge-silent")]),
        (but(answers=(AnswerSeen(*EDGE, UNASKED),)), [("note", "unasked")]),
        (but(answers=(AnswerSeen(*EDGE, status=404, nobodys=True),)), [("error", "edge-404")]),
        (but(answers=(AnswerSeen(*EDGE, status=404),)), []),
        (but(answers=(AnswerSeen(*EDGE, status=503),)), [("error", "edge-failing")]),
        (but(answers=(AnswerSeen(*EDGE, status=404, nobodys=True),), plan=dataclasses.replace(PLAN, hosts=(TARGET,))),
         [("error", "unknown-host")]),
        (new(names=(), failure=SILENT), [("error", "https-missing")]),
        (new(names=(), failure=UNASKED), [("note", "unasked")]),
        (but(old_certificates=(certificate(failure=SILENT),), new_certificates=(certificate(failure=SILENT),)), []),
        (new(names=("*.example.com",)), []),
        (new(names=("other.example.com",)), [("error", "certificate-name")]),
        (new(names=()), [("error", "certificate-name")]),
        (new(**ENDED), [("error", "certificate-expired")]),
        (new(until_s=NOW_S + 13 * DAY_S), [("warning", "certificate-soon")]),
        (new(distrust="self-signed certificate"), [("error", "certificate-trust")]),
        (but(old_certificates=(certificate(distrust="self-signed certificate"),),
             new_certificates=(certificate(distrust="self-signed certificate"),)), []),
        (caa((0, "issue", "letsencrypt.org")), []),
        (caa((0, "issue", "pki.goog")), [("error", "caa")]),
        (caa((0, "issue", ";")), [("error", "caa")]),
        (caa((0, "iodef", "mailto:x@example.com")), []),
        (caa((0, "issue", "pki.goog"), new_certificates=(certificate(issuer="Unheard Of"),)), [("note", "caa-unknown")]),
        (caa((0, "issue", "letsencrypt.org"), (0, "issuewild", ";"), new_certificates=(certificate(names=("*.example.com",)),)),
         [("error", "caa")]),
        (caa((0, "issue", "pki.goog"), old_certificates=(), new_certificates=()), []),
        (but(delegation=OURS_LOST), [("error", "delegation")]),
        (but(delegation=OURS_LOST, plan=INSIDE), []),
        (but(delegation=delegation(children=(child(edns="it ignores EDNS"),))), []),
        (today(signed=True), [("warning", "unsigned")]),
        (dataclasses.replace(today(signed=True), delegation=delegation(children=(child(keys=KEYS),))), []),
    ],
)  # fmt: skip
def test_each_thing_that_stands_in_the_way_is_one_finding(seen, expected):
    assert rules(seen) == expected
    assert all(finding.message and finding.remedy for finding in judge_cutover(seen, NOW_S))


def test_a_long_ttl_says_until_when_to_wait():
    (finding,) = judge_cutover(
        today(records={"A": Records(3600, ("198.51.100.1",)), "AAAA": Records(60, ("2001:db8::1",))}), NOW_S
    )
    assert finding.message == "resolvers keep what it is today for up to 3,600 s (A 3,600 s, AAAA 60 s)"
    assert finding.remedy == (
        "lower the TTL in example.com to 60 s, and wait 3,600 s: if you do it now, until 2023-11-14T23:13:20Z"
    )


def test_the_host_to_add_is_written_out():
    (finding,) = judge_cutover(planned(hosts=(TARGET,)), NOW_S)
    assert finding.remedy == f"write hosts: [{TARGET}, {NAME}] in apps.shop"


@pytest.mark.parametrize(
    ("properties", "wildcard", "expected"),
    [
        ([(0, "issue", "letsencrypt.org")], False, {"letsencrypt.org"}),
        ([(0, "ISSUE", " LetsEncrypt.org ; accounturi=https://x")], False, {"letsencrypt.org"}),
        ([(0, "issue", "a.example"), (0, "issue", "b.example")], False, {"a.example", "b.example"}),
        ([(0, "issue", ";")], False, set()),
        ([(0, "issue", "")], False, set()),
        ([(0, "issue", "a.example"), (0, "issuewild", "b.example")], False, {"a.example"}),
        ([(0, "issue", "a.example"), (0, "issuewild", "b.example")], True, {"b.example"}),
        ([(0, "issue", "a.example")], True, {"a.example"}),
        ([(0, "issuewild", ";")], False, None),
        ([(0, "issuewild", ";")], True, set()),
        ([(0, "iodef", "mailto:x")], False, None),
        ([(128, "issue", "a.example")], False, {"a.example"}),
        ([(128, "tbs", "unknown")], False, set()),
        ([(0, "tbs", "unknown")], False, None),
    ],
)
def test_who_may_issue(properties, wildcard, expected):
    allowed = allowed_issuers(CaaSeen("example.com", tuple(properties)), wildcard=wildcard)
    assert allowed == (None if expected is None else frozenset(expected))


def test_without_caa_everybody_may_and_organisations_are_known_by_their_beginning():
    assert allowed_issuers(None, wildcard=False) is None
    assert identifiers_of("DigiCert Inc") == ("digicert.com",)
    assert identifiers_of("Google Trust Services LLC") == ("pki.goog",)
    assert identifiers_of("Unheard Of") == ()


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [((NAME,), NAME), (("*.example.com",), "*.example.com"), (("*.com", "example.com", "*.shop.example.com"), None)],
)
def test_a_wildcard_covers_one_label(patterns, expected):
    assert covering(NAME, patterns) == expected


def app(*hosts, **more):
    return {**POLICY["apps"]["shop"], "hosts": list(hosts), **more}


def test_the_plan_is_the_apps_that_has_the_name():
    given = policy(apps={"shop": app("shop", NAME, ttl={"min": "5s", "max": "60s"})})
    plan = plan_of(given, "Shop.Example.COM.")
    assert (plan.name, plan.zone, plan.inside, plan.target, plan.app) == (NAME, ZONE, False, TARGET, "shop")
    assert (plan.hosts, plan.ttl_s) == ((TARGET, NAME), 60)
    assert plan.edges[:2] == (("192.0.2.10", 80), ("2001:db8:1::10", 80))


def test_the_plan_may_name_another_host_or_nobodys():
    given = policy()
    plan = plan_of(given, "www.example.org", "shop")
    assert (plan.target, plan.app, plan.hosts, plan.ttl_s) == (TARGET, "shop", (TARGET,), 10)
    nobodys = plan_of(given, "www.example.org")
    assert (nobodys.target, nobodys.app, nobodys.zone, nobodys.inside, nobodys.edges) == (None, None, ZONE, False, ())
    with pytest.raises(RefusedError, match=r"no-host.*elsewhere\.gslb\.example\.com") as refused:
        plan_of(given, "www.example.org", "elsewhere")
    assert refused.value.remedy == "write one: shop.gslb.example.com, blog.gslb.example.com"


def test_a_name_in_a_zone_of_ours_moves_by_delegation():
    plan = plan_of(policy(), "shop")
    assert (plan.name, plan.inside, plan.zone, plan.target) == (TARGET, True, ZONE, TARGET)
    assert plan_of(policy(), "new").app is None


def test_an_app_without_a_host_in_our_zones_has_no_target():
    assert plan_of(policy(apps={"shop": app(NAME)}), NAME).target is None


def test_the_way_back_is_the_very_records_of_today():
    seen = records(SSHFP=TEXT)
    assert cutover_report(seen, ())["way_back"] == cutover_report(READY, ())["way_back"]
    told = cutover_report(READY, judge_cutover(READY, NOW_S))
    assert (told["ready"], told["how"], told["back_s"]) == (True, "CNAME", 70)
    assert told["write"] == [f"{NAME}. 60 IN CNAME {TARGET}."]
    assert told["way_back"] == [f"{NAME}. 60 IN A 198.51.100.1", f"{NAME}. 60 IN A 198.51.100.2"]
    assert told["certificates"]["then"] == [
        {"address": "192.0.2.10", "failure": None, "names": [NAME], "issuer": "Let's Encrypt",
         "until": "2024-01-13T22:13:20Z", "distrust": None}]  # fmt: skip
    assert told["edges"] == [{"address": "192.0.2.10", "port": 80, "failure": None, "status": 200}]


def test_the_way_back_from_a_delegation_takes_as_long_as_its_ns_records():
    seen = but(
        plan=INSIDE, today=dataclasses.replace(TODAY, records={"A": A, "MX": Records(60, ("10 mx.example.com.",))})
    )
    told = cutover_report(seen, ())
    assert (told["how"], told["back_s"]) == ("delegation", 3610)
    assert told["write"][0] == f"{ZONE}. IN NS ns1.{ZONE}."
    assert told["way_back"][-1] == f"{NAME}. 60 IN MX 10 mx.example.com."
    lost = delegation((), (), wanted=Wanted(ZONE, {}))
    assert cutover_report(but(plan=INSIDE, delegation=lost), ())["back_s"] is None


def test_of_a_name_that_has_moved_nothing_is_to_write_and_the_past_is_not_known():
    told = cutover_report(today(records={"CNAME": Records(60, (f"{TARGET}.",))}), ())
    assert (told["write"], told["way_back"], told["back_s"]) == ([], [], 70)


def test_what_was_not_seen_is_told_as_such():
    seen = planned(target=None, app=None)
    seen = dataclasses.replace(
        seen,
        today=NameSeen(SILENT),
        new_certificates=(certificate(failure=SILENT),),
        answers=(AnswerSeen(*EDGE, SILENT),),
    )
    told = cutover_report(seen, judge_cutover(seen, NOW_S))
    assert (told["ready"], told["zone_today"], told["write"], told["way_back"]) == (False, None, [], [])
    assert told["back_s"] is None
    assert told["certificates"]["then"] == [{"address": "192.0.2.10", "failure": SILENT.why}]
    assert told["edges"] == [{"address": "192.0.2.10", "port": 80, "failure": SILENT.why, "status": None}]
