"""One observation, one finding: what is wrong with a delegation, how bad it is, where, and what to do."""

import dataclasses

import dns.dnssec
import dns.name
import dns.rdata
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gslb.errors import RefusedError
from gslb.outside.delegation_judge import judge
from gslb.outside.delegation_report import report, wanted_zones
from gslb.outside.delegation_seen import ChildSeen, DelegationSeen, Failure, ParentSeen, Server, Signed, Wanted
from gslb.outside.findings import is_bad
from tests.unit.control.world import POLICY, policy

ZONE = "gslb.example.com"
NOW_S = 1_700_000_000
NS1, NS2 = f"ns1.{ZONE}", f"ns2.{ZONE}"
GLUE = {NS1: frozenset({"192.0.2.1"}), NS2: frozenset({"192.0.2.2", "2001:db8::2"})}
WANTED = Wanted(ZONE, GLUE, 7)
SILENT, LAME = Failure("silent", "no answer over UDP"), Failure("lame", "it answers REFUSED")
UNASKED = Failure("unasked", "this machine has no route to it")


def parent(number=1, **changed):
    seen = ParentSeen(Server(f"a{number}.example.com", f"198.51.100.{number}"), nameservers=frozenset(GLUE), glue=GLUE,
                      ns_ttl_s=3600, ds_ttl_s=900)  # fmt: skip
    return dataclasses.replace(seen, **changed)


def child(name=NS1, address="192.0.2.1", **changed):
    seen = ChildSeen(Server(name, address), serial=7, nameservers=frozenset(GLUE), soa=SOA)
    return dataclasses.replace(seen, **changed)


def keyed(*, algorithm="ECDSAP256SHA256", sep=True):
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=257 if sep else 256)
    return private, key


def signed(rdatas, keys, from_s=NOW_S - 3600, until_s=NOW_S + 3600):
    owner = dns.name.from_text(ZONE)
    rrset = dns.rrset.from_rdata_list(owner, 300, rdatas)
    made = [dns.dnssec.sign(rrset, private, owner, key, inception=from_s, expiration=until_s) for private, key in keys]
    return Signed(frozenset(rdata.to_digestable() for rdata in rdatas), frozenset(s.to_digestable() for s in made))


def ds(key, digest="SHA256"):
    return dns.dnssec.make_ds(f"{ZONE}.", key, digest, policy=dns.dnssec.allow_all_policy).to_digestable()


SOA_DATA = dns.rdata.from_text("IN", "SOA", f"{NS1}. hostmaster.{ZONE}. 7 3600 600 604800 60")
SOA = Signed(frozenset({SOA_DATA.to_digestable()}))
KSK, ZSK, OTHER = keyed(), keyed(sep=False), keyed()
KEYS = signed([KSK[1], ZSK[1]], [KSK])
ONLY_ZSK_SIGNS = signed([KSK[1], ZSK[1]], [ZSK])
SIGNED_SOA = signed([SOA_DATA], [ZSK])
GOOD = DelegationSeen(WANTED, "example.com", (parent(1), parent(2)), (child(), child(NS2, "192.0.2.2")))


def seen(parents=None, children=None, **changed):
    given = {"parents": parents, "children": children}
    return dataclasses.replace(GOOD, **{key: value for key, value in given.items() if value is not None}, **changed)


def chain(*records, keys=KEYS, soa=SIGNED_SOA):
    view = {"ds": frozenset(records)}
    return seen((parent(1, **view), parent(2, **view)), (child(keys=keys, soa=soa),))


def rules(observed):
    return [(finding.severity, finding.rule) for finding in judge(observed, NOW_S)]


def test_a_good_delegation_has_no_findings():
    assert judge(GOOD, NOW_S) == ()
    assert judge(chain(ds(KSK[1])), NOW_S) == ()


def test_a_zone_that_is_its_parents_own_shows_no_glue_and_that_is_right():
    views = tuple(parent(n, serves_child=True, glue={}) for n in (1, 2))
    assert judge(seen(views), NOW_S) == ()


UNSIGNED = Signed()
V6 = child(NS2, "2001:db8::2", udp=UNASKED, tcp=UNASKED, serial=None, nameservers=frozenset())
OUTSIDE = Wanted(ZONE, {"ns.example.net": frozenset({"203.0.113.1"})}, 7)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (chain(ds(OTHER[1])), [("error", "bogus")]),
        (chain(ds(KSK[1]), keys=UNSIGNED), [("error", "bogus")]),
        (dataclasses.replace(chain(keys=UNSIGNED), wanted=Wanted(ZONE, GLUE, 7, signed=True)), [("error", "unsigned")]),
        (dataclasses.replace(chain(ds(KSK[1])), wanted=Wanted(ZONE, GLUE, 7, signed=True)), []),
        (chain(ds(KSK[1]), keys=ONLY_ZSK_SIGNS), [("error", "bogus-signature")]),
        (chain(ds(KSK[1]), keys=Signed(KEYS.rdatas)), [("error", "bogus-signature")]),
        (chain(ds(KSK[1]), soa=SOA), [("error", "bogus-signature")]),
        (chain(ds(KSK[1]), soa=signed([SOA_DATA], [ZSK], until_s=NOW_S - 1)), [("error", "bogus-signature")]),
        (chain(ds(KSK[1]), soa=signed([SOA_DATA], [ZSK], from_s=NOW_S + 1)), [("error", "bogus-signature")]),
        (chain(ds(KSK[1]), soa=signed([SOA_DATA], [OTHER])), [("error", "bogus-signature")]),
        (chain(), [("warning", "ds-missing")]),
        (chain(ds(KSK[1]), ds(OTHER[1])), [("warning", "ds-stray")]),
        (chain(ds(KSK[1]), b"\x00\x07\x08\x02" + bytes(32)), [("error", "ds-algorithm")]),
        (chain(b"\x00\x07\x08\x02" + bytes(32)), [("error", "bogus"), ("error", "ds-algorithm")]),
        (chain(ds(KSK[1])[:3] + b"\x09" + bytes(48)), [("error", "bogus")]),
        (chain(ds(KSK[1], "SHA1")), [("warning", "ds-sha1")]),
        (chain(ds(KSK[1], "SHA1"), ds(KSK[1])), []),
        (chain(ds(KSK[1], "SHA384")), []),
        (seen(parent=SILENT, parents=()), [("error", "parent-unknown")]),
        (seen(()), [("error", "parent-silent")]),
        (seen((parent(failure=SILENT),)), [("error", "parent-silent"), ("warning", "parent-server")]),
        (seen((parent(1), parent(2, failure=LAME))), [("warning", "parent-server")]),
        (seen((parent(1), parent(2, failure=UNASKED))), [("note", "parent-server")]),
        (seen((parent(nameservers=frozenset(), glue={}),)), [("error", "not-delegated")]),
        (seen(children=(child(udp=LAME, tcp=LAME, serial=None),)), [("error", "lame")]),
        (seen(children=(child(udp=SILENT, tcp=SILENT, serial=None),)), [("error", "silent")]),
        (seen(children=(child(udp=SILENT, tcp=LAME, serial=None),)), [("error", "silent-udp"), ("error", "lame-tcp")]),
        (seen(children=(child(udp=SILENT),)), [("error", "silent-udp")]),
        (seen(children=(child(tcp=SILENT),)), [("error", "silent-tcp")]),
        (seen(children=(child(), V6)), [("note", "unasked")]),
        (seen(children=(child(edns="it ignores EDNS"),)), [("warning", "edns")]),
        (seen(children=(child(same_case=False),)), [("warning", "case")]),
        (seen((parent(nameservers=frozenset({NS1})),)), [("error", "ns-missing")]),
        (seen((parent(nameservers=frozenset({*GLUE, "ns.example.net"})),)), [("error", "ns-extra")]),
        (seen(children=(child(nameservers=frozenset({NS1})),)), [("error", "ns-child")]),
        (seen((parent(glue={NS1: GLUE[NS1]}),)), [("error", "glue-missing")]),
        (seen((parent(glue=GLUE | {NS2: frozenset({"192.0.2.2"})}),)), [("error", "glue-differs")]),
        (seen((parent(nameservers=frozenset({*GLUE, f"ns3.{ZONE}"})),)), [("error", "ns-extra"), ("error", "glue-missing")]),
        (seen((parent(nameservers=frozenset({*GLUE, f"ns3.{ZONE}"}), glue=GLUE | {f"ns3.{ZONE}": frozenset({"192.0.2.3"})}),)),
         [("error", "ns-extra")]),
        (seen((parent(nameservers=frozenset(OUTSIDE.nameservers), glue={}),), (), wanted=OUTSIDE), []),
        (seen(children=(child(), child(NS2, "192.0.2.2", serial=6))), [("error", "serial")]),
        (seen(children=(child(serial=8),)), [("error", "serial")]),
        (seen(children=(child(serial=8),), wanted=Wanted(ZONE, GLUE)), []),
        (seen(children=(child(), child(NS2, "192.0.2.2", serial=8)), wanted=Wanted(ZONE, GLUE)), [("error", "serial")]),
        (seen((parent(1), parent(2, ds=frozenset({ds(KSK[1])}))), (child(keys=KEYS, soa=SIGNED_SOA),)),
         [("warning", "ds-missing"), ("warning", "parents-differ")]),
    ],
)  # fmt: skip
def test_each_thing_that_is_wrong_is_one_finding(observed, expected):
    assert rules(observed) == expected
    for finding in judge(observed, NOW_S):
        assert finding.message
        assert finding.remedy


def test_the_same_at_several_servers_is_told_once_with_their_names():
    lame = [child(name, ip, udp=LAME, tcp=LAME, serial=None) for name, ip in ((NS1, "192.0.2.1"), (NS2, "192.0.2.2"))]
    (finding,) = judge(seen(children=tuple(lame)), NOW_S)
    assert finding.where == (f"{NS1} (192.0.2.1)", f"{NS2} (192.0.2.2)")
    assert finding.message == "it does not serve the zone: it answers REFUSED"


def test_the_most_urgent_comes_first():
    observed = seen((parent(ds=frozenset({ds(OTHER[1])})),), (child(keys=KEYS, soa=SIGNED_SOA, serial=6, edns="x"),))
    assert rules(observed) == [("error", "bogus"), ("error", "serial"), ("warning", "edns")]


def test_remedies_name_the_records_to_write():
    (finding,) = judge(seen((parent(nameservers=frozenset(), glue={}),)), NOW_S)
    assert finding.remedy == (
        f"put into example.com: {ZONE}. IN NS {NS1}.; {ZONE}. IN NS {NS2}.; {NS1}. IN A 192.0.2.1; "
        f"{NS2}. IN A 192.0.2.2; {NS2}. IN AAAA 2001:db8::2"
    )
    (finding,) = judge(chain(), NOW_S)
    tag = dns.dnssec.key_id(KSK[1])
    assert finding.remedy.startswith(f"give the parent: {ZONE}. IN DS {tag} 13 2 ")
    assert finding.remedy.count(" IN DS ") == 1
    (finding,) = judge(chain(keys=signed([ZSK[1]], [ZSK])), NOW_S)
    assert f" IN DS {dns.dnssec.key_id(ZSK[1])} 13 2 " in finding.remedy


def test_the_report_holds_what_was_seen():
    view = parent(ds=frozenset({ds(KSK[1])}))
    observed = seen((view, parent(2, failure=SILENT)), (child(keys=KEYS, soa=SIGNED_SOA), V6))
    told = report(observed, judge(observed, NOW_S))
    assert (told["zone"], told["ok"], told["parent"], told["ns_ttl_s"], told["ds_ttl_s"]) == (
        ZONE, True, "example.com", 3600, 900)  # fmt: skip
    first, second = told["parents"]
    assert (first["failure"], first["nameservers"], first["glue"][NS1]) == (None, [NS1, NS2], ["192.0.2.1"])
    assert first["ds"][0].startswith(f"{dns.dnssec.key_id(KSK[1])} 13 2 ")
    assert (second["failure"], second["name"]) == ("no answer over UDP", "a2.example.com")
    serving, unasked = told["servers"]
    assert serving == {"name": NS1, "address": "192.0.2.1", "udp": "ok", "tcp": "ok", "serial": 7, "signed": True}
    assert (unasked["udp"], unasked["serial"], unasked["signed"]) == (UNASKED.why, None, False)
    assert [finding["rule"] for finding in told["findings"]] == ["parent-server", "unasked"]
    lost = seen(parent=SILENT, parents=())
    assert report(lost, judge(lost, NOW_S)) | {
        "parent": None,
        "ok": False,
        "ns_ttl_s": None,
        "ds_ttl_s": None,
    } == report(lost, judge(lost, NOW_S))


def test_only_errors_make_it_bad():
    assert not is_bad(judge(chain(), NOW_S))
    assert is_bad(judge(seen(()), NOW_S))


def test_the_zones_of_a_policy_and_their_servers():
    more = [{"name": "Static.Example.COM.", "nameservers": {"ns1": ["192.0.2.9"], "ns.example.net": ["192.0.2.8"]}}]
    given = policy(zones=more, zone={**POLICY["zone"], "dnssec": True})
    main, static = wanted_zones(given, 3)
    assert main == Wanted("gslb.example.com", {"ns1.gslb.example.com": frozenset({"198.51.100.53"})}, 3, signed=True)
    assert static.nameservers == {
        "ns1.static.example.com": frozenset({"192.0.2.9"}), "ns.example.net": frozenset({"192.0.2.8"})}  # fmt: skip
    assert wanted_zones(given, None, ["STATIC.example.com."]) == (dataclasses.replace(static, serial=None),)
    with pytest.raises(RefusedError, match=r"its zones are gslb\.example\.com, static\.example\.com"):
        wanted_zones(given, None, ["example.com"])
