"""Zone files as part of a policy: what they must agree with, and what becomes of them."""

import pytest

from gslb.errors import PolicyError
from gslb.model.folder import load_folder
from gslb.model.reader import parse_policy
from gslb.roles.publishing.watch import fingerprint
from tests.unit.model.good_policy import GOOD, spoiled

POLICY = spoiled("ttl: 10s", "ttl: 10s\n  records: static.zone")
"""Zone gslb.example.com, nameservers ns1 and ns2 in it, the host shop."""

HEAD = "$TTL 1h\n"


def parse(zone, policy=POLICY, **more):
    files = {"p/a.yaml": policy.encode(), "p/static.zone": (HEAD + zone).encode()}
    return parse_policy(files | {f"p/{name}.zone": text.encode() for name, text in more.items()})


def problems(zone, policy=POLICY, **more):
    """(line in `zone`, rule, severity) of each."""
    try:
        found = parse(zone, policy, **more).warnings
    except PolicyError as error:
        found = error.problems
    assert all(problem.message and problem.remedy for problem in found)
    return [(problem.line - 1, problem.rule, problem.severity) for problem in found]


def errors(*places):
    return [(line, rule, "error") for line, rule in places]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("www.example.org. A 192.0.2.1", errors((1, "zone-outside"))),
        ("$ORIGIN org.\nwww A 192.0.2.1", errors((2, "zone-outside"))),
        ("@ SOA ns1 hostmaster 1 2 3 4 5", errors((1, "zone-soa"))),
        ("www SOA ns1 hostmaster 1 2 3 4 5", errors((1, "zone-soa"))),
        # the apex and the nameservers
        ("@ NS ns1\n@ NS NS2", []),
        ("@ NS ns1\n@ NS ns3", errors((1, "zone-nameserver"), (2, "zone-nameserver"))),
        ("@ NS ns1", errors((1, "zone-nameserver"))),
        ("ns1 A 192.0.2.53", []),
        ("ns1 A 192.0.2.54", errors((1, "zone-nameserver"))),
        ("ns1 AAAA 2001:db8::1", errors((1, "zone-nameserver"))),
        ("ns1 TXT x", []),
        ("@ A 192.0.2.1", []),
        # steered names
        ("shop A 192.0.2.1", errors((1, "zone-steered"))),
        ("SHOP AAAA ::1\nshop A 192.0.2.1", errors((1, "zone-steered"), (2, "zone-steered"))),
        ("shop TXT x\nshop MX 10 mail", []),
        ("shop CNAME x", errors((1, "zone-alias"))),
        ("x.shop A 192.0.2.1", []),
        ("shop HTTPS 1 .\nshop SVCB 1 .", []),
        ("shop--dc A 192.0.2.1", errors((1, "zone-steered"))),
        ("shop--aws AAAA ::1\nshop--aws TXT x", errors((1, "zone-steered"))),
        ("shop--dc CNAME shop", errors((1, "zone-alias"))),
        ("shop--dc NS ns.example.org.", errors((1, "zone-hidden"))),
        ("shop--gcp A 192.0.2.1", []),
        # aliases
        ("a CNAME b\na TXT x", errors((1, "zone-alias"))),
        ("a TXT x\na CNAME b", errors((2, "zone-alias"))),
        ("a CNAME b\na CNAME c", errors((2, "zone-alias"))),
        ("@ CNAME b", errors((1, "zone-alias"))),
        ("ns1 CNAME b", errors((1, "zone-alias"))),
        ("a CNAME nowhere\nb CNAME shop\nc CNAME example.org.", []),
        ("a DNAME b\na DNAME c", errors((2, "zone-alias"))),
        ("a DNAME b\na TXT x", []),
        ("a DNAME b\nx.a TXT x\ny.x.a TXT x", errors((2, "zone-hidden"), (3, "zone-hidden"))),
        ("@ DNAME example.org.", errors(*[(1, "zone-hidden")] * 5)),
        ("*.a DNAME b", errors((1, "zone-wildcard"))),
        # delegations
        ("a NS ns.example.org.", []),
        ("a NS ns.a\nns.a A 192.0.2.1", []),
        ("a NS a\na A 192.0.2.1", []),
        ("a NS ns.a", errors((1, "zone-glue"))),
        ("a NS ns.a\nb NS ns.a\nns.a AAAA ::1", []),
        ("a NS nowhere", errors((1, "zone-glue"))),
        ("a NS ns1\na NS shop", []),
        ("a NS alias\nalias CNAME ns1", errors((1, "zone-glue"))),
        ("a NS ns.a\nns.a A 300.0.0.1", errors((2, "zone-data"))),
        ("a NS ns.a\nns.a A 192.0.2.1\nx.a A 192.0.2.1", [(3, "zone-hidden", "warning")]),
        ("a NS ns.example.org.\na TXT x", [(2, "zone-hidden", "warning")]),
        ("a NS ns.example.org.\nb.a NS ns.example.org.", [(2, "zone-hidden", "warning")]),
        ("*.a NS ns.example.org.", errors((1, "zone-wildcard"))),
        ("shop NS ns.example.org.", errors((1, "zone-hidden"))),
        ("a NS ns.example.org.\na DNAME b", [*errors((2, "zone-alias")), (2, "zone-hidden", "warning")]),
        (f"a NS ns.example.org.\na DS 1 8 2 {'00' * 32}", []),
        (f"a DS 1 8 2 {'00' * 32}", errors((1, "zone-ds"))),
        (f"@ DS 1 8 2 {'00' * 32}", errors((1, "zone-ds"))),
        # sets
        ("a 60 TXT x\na 61 TXT y", [(2, "zone-ttl", "warning")]),
        ("a TXT x\na TXT x", []),
        ("\n".join(f"a TXT {'x' * 250} {number}" for number in range(300)), errors((1, "zone-size"))),
    ],
)
def test_one_mistake(zone, expected):
    assert problems(zone) == expected


def test_an_app_with_https_records_has_them_alone():
    policy = POLICY.replace("hosts: [shop]", "hosts: [shop]\n    https: {alpn: h2}")
    assert problems("shop HTTPS 1 .\nshop SVCB 1 .\nshop--dc HTTPS 1 .", policy) == errors((1, "zone-steered"))


def test_a_name_for_one_site_that_does_not_exist_is_in_nobodys_way():
    policy = POLICY.replace("hosts: [shop]", f"hosts: [{'s' * 62}]")
    assert [rule for _, rule, _ in problems("www A 192.0.2.1", policy)] == ["site-host-length"] * 2


def test_everything_is_told_at_once_with_the_policys_own_mistakes():
    policy = POLICY.replace("ns2: [198", "ns1.gslb.example.com: [198")
    rules = {rule for _, rule, _ in problems("a A x\nb CNAME c\nb TXT x\nwww.org. A 192.0.2.1", policy)}
    assert rules == {"duplicate-name", "zone-data", "zone-alias", "zone-outside"}


def test_records_take_the_place_of_the_files_name():
    policy = parse("www A 192.0.2.1\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.53\n").policy
    assert policy.zone.records == "www.gslb.example.com 3600 IN TYPE1 \\# 4 c0000201"
    assert type(policy).model_validate_json(policy.model_dump_json()) == policy
    assert parse_policy({"p/a.yaml": GOOD.encode()}).policy.zone.records is None


def test_a_comment_changes_the_digest_and_not_the_policy():
    one, other = parse("www A 192.0.2.1"), parse("; hello\nwww A 192.0.2.1")
    assert one.digest != other.digest
    assert one.policy == other.policy


@pytest.mark.parametrize("name", ["other.zone", "a.yaml", "../static.zone", "/etc/passwd", "deeper/static.zone", '""'])
def test_a_file_that_is_not_there(name):
    found = problems("www A 192.0.2.1", POLICY.replace("static.zone", name))
    assert sorted(found) == sorted([(5, "no-file", "error"), (-1, "file-ignored", "warning")])


def test_a_file_that_nobody_names():
    assert problems("www A 192.0.2.1", GOOD) == [(-1, "file-ignored", "warning")]


MORE = """zones:
  - {name: example.org, nameservers: {ns1: [192.0.2.53]}, records: org.zone}
  - {name: sub.example.org., nameservers: {ns.example.net: [192.0.2.53]}, records: static.zone}
"""


def test_more_zones_have_files_of_their_own_or_share_one():
    loaded = parse("www A 192.0.2.1", POLICY + MORE, org="$TTL 60\n@ MX 10 www\nsub NS ns.example.net.")
    assert loaded.warnings == ()
    assert [zone.records.split(maxsplit=1)[0] for zone in (loaded.policy.zone, *loaded.policy.zones)] == [
        "www.gslb.example.com", "example.org", "www.sub.example.org",
    ]  # fmt: skip


def test_hosts_belong_to_the_nearest_zone():
    policy = (POLICY + MORE).replace("hosts: [shop]", "hosts: [shop, www.sub.example.org, example.org]")
    found = problems("www A 192.0.2.1", policy, org="$TTL 60\n@ A 192.0.2.1\nwww A 192.0.2.1\n")
    assert found == [(1, "zone-steered", "error"), (1, "zone-steered", "error")]


def test_a_zone_stands_once_and_its_nameservers_are_checked():
    policy = POLICY + MORE.replace("sub.example.org.", "GSLB.example.com").replace("ns1: [192", "example.org: [192")
    rules = {(line, rule) for line, rule, _ in problems("www A 192.0.2.1", policy, org="$TTL 60\n")}
    lines = policy.splitlines()
    first = next(number for number, line in enumerate(lines) if "name: example.org" in line)
    assert rules == {(first, "nameserver-apex"), (first + 1, "duplicate-zone")}


def test_the_folder_is_read_and_followed_with_its_zone_files(tmp_path):
    (tmp_path / "a.yaml").write_text(POLICY)
    (tmp_path / "static.zone").write_text(HEAD + "www A 192.0.2.1\n")
    (tmp_path / ".static.zone.swp").write_text("")
    (tmp_path / ".hidden.zone").write_text("nonsense")
    before, seen = load_folder(tmp_path), fingerprint(tmp_path)
    assert [name for name, *_ in seen] == ["a.yaml", "static.zone"]
    (tmp_path / "static.zone").write_text(HEAD + "www A 192.0.2.100\n")
    after = load_folder(tmp_path)
    assert fingerprint(tmp_path) != seen
    assert after.digest != before.digest
    assert after.policy != before.policy
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(PolicyError):
        load_folder(tmp_path)


def test_types_are_named_as_in_the_file():
    with pytest.raises(PolicyError) as caught:
        parse("a CNAME b\na TYPE65280 \\# 0\na DNAME x")
    (problem,) = caught.value.problems
    assert problem.message == "a.gslb.example.com is a CNAME, and also TYPE65280, DNAME"
