"""What the models refuse, in an operator's words and at its place."""

import pytest

from gslb.errors import PolicyError
from gslb.model import shape
from gslb.model.check_forms import CHECK_FORMS
from gslb.model.forms import FORMS
from tests.unit.model.good_policy import GOOD, load, places_of, problems_of, spoiled


def test_the_policy_to_spoil_is_good():
    assert problems_of(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("environment: test", "environment: a b", (1, 14, "value")),
        ("environment: test", "environment: 1", (1, 14, "type")),
        ("environment: test", "enviroment: test", (1, 1, "unknown-key")),
        ("  name: gslb.example.com\n", "", (2, 1, "missing-key")),
        ("name: gslb.example.com", "name: a b", (3, 9, "value")),
        ("ns1: [192.0.2.53]", "ns1: [192.0.2.999]", (4, 23, "value")),
        ("ns1: [192.0.2.53]", "n s: [192.0.2.53]", (4, 17, "value")),
        ("ns1: [192.0.2.53]", "ns1: []", (4, 22, "length")),
        ("ttl: 10s", "ttl: 10", (5, 8, "value")),
        ("ttl: 10s", "ttl: 100ms", (5, 8, "range")),
        ("ttl: 10s", "ttl: 2d", (5, 8, "range")),
        ("- healthy", "- geo: {bias: {dc: 0}}", (16, 26, "range")),
        ("- healthy", "- geo: {countries: {Germany: dc}}", (16, 27, "value")),
        ("- healthy", "- geo: {continents: {XX: dc}}", (16, 28, "value")),
        ("- healthy", "- geo: {countries: {DE: []}}", (16, 31, "length")),
        ("- healthy", "- geo: {biass: {}}", (16, 15, "unknown-key")),
        ("environment: test", "latency: {10.0.0.1/8: {dc: 2ms}}", (1, 11, "value")),
        ("environment: test", "latency: {10.0.0.0/8: {dc: 2}}", (1, 28, "value")),
        ("ttl: 10s", "ttl: {min: 5s}", (5, 3, "missing-key")),
        ("ttl: 10s", "ttl: {min: 5s, max: 2d}", (5, 23, "range")),
        ("ttl: 10s", "ttl: {min: 5, max: 1m}", (5, 14, "value")),
        ("ttl: 10s", "ttl: {min: 5s, max: 1m, mean: 2s}", (5, 27, "unknown-key")),
        ("ttl: 10s", "ttl: [5s]", (5, 8, "value")),
        ("ttl: 10s", "dnssec: 0", (5, 11, "type")),
        ("ttl: 10s", 'dnssec: "true"', (5, 11, "type")),
        ("ttl: 10s", "dnssec: {algorithm: rsa}", (5, 23, "value")),
        ("ttl: 10s", "dnssec: {algorithn: ed25519}", (5, 12, "unknown-key")),
        ("ttl: 10s", "dnssec: {zsk_lifetime: 6d}", (5, 26, "range")),
        (
            "environment: test",
            "zones: [{name: a.example, nameservers: {ns1: [192.0.2.53]}, dnssec: {zsk_life: 9d}}]",
            (1, 70, "unknown-key"),
        ),
        ("hosts: [shop]", "hosts: [shop]\n    ttl: {min: 5s, max: 2d}", (15, 25, "range")),
        ("ttl: 10s", "ttl: " + "9" * 400 + "d", (5, 8, "value")),
        ("  dc:\n    edges", "  DC:\n    edges", (7, 3, "value")),
        ("[{public: [192.0.2.10], bind: [10.0.0.4]}]", "{public: 192.0.2.10}", (8, 12, "type")),
        ("[{public: [192.0.2.10], bind: [10.0.0.4]}]", "", (8, 11, "type")),
        ("{public: [192.0.2.10], bind: [10.0.0.4]}", "192.0.2.10", (8, 13, "type")),
        ("bind: [10.0.0.4]", "bnd: [10.0.0.4]", (8, 36, "unknown-key")),
        ("http: 80", "http: 70000", (9, 20, "range")),
        ("http: 80", 'http: "80"', (9, 20, "type")),
        ("http: 80", "http: true", (9, 20, "type")),
        ("http: 80", "http: 80.5", (9, 20, "type")),
        ("http: 80", "http: 9999999999999999999999999", (9, 20, "range")),
        ("http: 80", "port: 80", (9, 14, "unknown-key")),
        ("    hosts: [shop]\n", "", (13, 3, "missing-key")),
        ("hosts: [shop]", "hosts: [sh*p]", (14, 13, "value")),
        ("hosts: [shop]", "hosts: sh*p", (14, 12, "value")),
        ("- healthy", "- healthi", (16, 9, "unknown-filter")),
        ("- healthy", "- weighted", (16, 9, "unknown-filter")),
        ("- healthy", "- 3", (16, 9, "unknown-filter")),
        ("- healthy", "- wieghted: {dc: 1}", (16, 9, "unknown-filter")),
        ("- healthy", "- {first: 1, only: [dc]}", (16, 20, "unknown-key")),
        ("- healthy", "- {first: 1, by: client}", (16, 20, "unknown-key")),
        ("- healthy", "- first: 0", (16, 16, "range")),
        ("dc: 80", "dc: lots", (17, 24, "type")),
        ("dc: 80", "dc: -1", (17, 24, "range")),
        ("dc: 80", "dc: .inf", (17, 24, "value")),
        ("dc: 80", "dc: .nan", (17, 24, "value")),
        ("dc: 80", "D C: 80", (17, 20, "value")),
        ("check: {path: /healthz, ", "check: {", (20, 16, "value")),
        ("check: {path: /healthz, ", "chek: {path: /healthz, ", (20, 9, "unknown-key")),
        ("path: /healthz", "path: healthz", (20, 23, "value")),
        ("interval: 2s", "interval: 2 s", (20, 43, "value")),
        ('dc: ["10.1.0.11:8080"]', "dc: [10.1.0.11]", (21, 14, "value")),
        ('dc: ["10.1.0.11:8080"]', "dc: 10.1.0.11", (21, 13, "value")),
        ('dc: ["10.1.0.11:8080"]', "dc: 5", (21, 13, "type")),
        ("match: {path: /pay}", "match: {path: /pay, exact: /pay}", (27, 16, "value")),
        ("match: {path: /pay}", "match: {method: [get]}", (27, 26, "value")),
        ("match: {path: /pay}", "match: {headers: {x-v: 2}}", (27, 32, "type")),
        ("match: {path: /pay}", "match: {pth: /pay}", (27, 17, "unknown-key")),
        ("split: {old: 95, new: 5}", "spilt: {old: 95, new: 5}", (28, 9, "unknown-key")),
        ("old: 95, new: 5", "old: 95.001, new: 5", (28, 22, "value")),
        ("old: 95, new: 5", "old: 101, new: 5", (28, 22, "value")),
        ("old: 95, new: 5", "old: true, new: 5", (28, 22, "value")),
        ("percent: 10", "percentage: 10", (29, 28, "unknown-key")),
        ("mirror: [{to: new, percent: 10}]", "mirror: {to: new, percent: 10}", (29, 17, "type")),
        ("mirror: [{to: new, percent: 10}]", "mirror: [{to: new}]", (29, 18, "missing-key")),
        ("retries: 2", "retries: true", (30, 18, "type")),
        ("retries: 2", "retries: 1.5", (30, 18, "type")),
        ("retries: 2", "sticky: header", (30, 17, "value")),
    ],
)
def test_one_mistake_is_one_problem_at_its_place(old, new, expected):
    assert places_of(spoiled(old, new)) == [expected]


@pytest.mark.parametrize("text", ["zone:", "zone: 1", "sites: []", "apps: shop", "{}", "a: 1"])
def test_a_policy_that_is_hardly_begun_is_told_what_it_needs(text):
    rules = {rule for _, _, rule in places_of(text)}
    assert rules <= {"missing-key", "type", "length", "unknown-key"}
    assert rules


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy"),
    [
        ("retries: 2", "retry: 2", "retry is not a key of apps.shop.routes[0]", "write retries; the keys are name, match"),
        ("check: {path", "chek: {path", "chek is not a key of apps.shop.backends.old", "write check; the keys are check, via, tls, protocol, host, dc, aws"),
        ("ttl: 10s", "ttl: 2d", "zone.ttl is 2d, and must be at most 1d", "write a value that is at most 1d"),
        ("http: 80", "http: 70000", "sites.dc.listen.http is 70000, and must be at most 65,535", "at most 65,535"),
        ("environment: test", "environment: 1", "environment is 1, not text", 'put it in quotes: "1"'),
        ("- healthy", "- healthi", "healthi, which is no filter", "write healthy; the filters are"),
        ("- healthy", "- wieghted: {dc: 1}", "is wieghted, which is no filter", "write weighted; the filters"),
        ("- healthy", "- weighted", "weighted needs its value", "write weighted: {dc: 80, aws: 20}"),
        ("- healthy", "- {first: 1, only: [dc]}", "only stands in another filter", "an item of its own"),
        ("    hosts: [shop]\n", "", "apps.shop has no hosts", "write hosts: [shop]"),
        ("retries: 2", "sticky: header", "sticky cannot be header", "write cookie"),
        ("ttl: 10s", "ttl: 10", "10 is not a duration", "write a number with its unit"),
        ("ns1: [192.0.2.53]", "ns1: []", "zone.nameservers.ns1 is empty", "ns1"),
    ],
)  # fmt: skip
def test_messages_say_what_and_what_instead(old, new, message, remedy):
    (problem,) = problems_of(spoiled(old, new))
    assert message in problem.message
    assert remedy in problem.remedy


def test_every_key_has_a_form_to_copy():
    models = {**shape._MODELS, **shape._FILTERS}
    keys = {key for model in models.values() for key in model.model_fields}
    assert keys <= set(FORMS) | set(CHECK_FORMS)


def test_a_mirror_list_that_is_too_long():
    many = ", ".join(["{to: new, percent: 1}"] * 9)
    (problem,) = problems_of(spoiled("mirror: [{to: new, percent: 10}]", f"mirror: [{many}]"))
    assert (problem.rule, problem.message) == ("length", "apps.shop.routes[0].mirror has more than 8 items")


def test_a_huge_value_is_not_echoed_whole():
    (problem,) = problems_of(spoiled("ttl: 10s", "ttl: " + "x" * 100_000))
    assert len(problem.message) < 400


def test_words_of_the_validation_library_never_reach_an_operator():
    text = "zone: {name: 1, ttl: [], x: 2}\nsites: {dc: {edges: {}, capacity: a}}\napps: {a: {steer: 5, routes: [5]}, b: }\n"
    said = " ".join(f"{p.message} {p.remedy}" for p in problems_of(text)).lower()
    for word in ("input", "tuple", "dict", "pydantic", "instance", "string", "field required", "nonetype"):
        assert word not in said


def test_shape_and_sense_are_told_in_one_run():
    text = GOOD.replace("retries: 2", "retry: 2").replace("old: 100", "old: 90").replace("http: 80", "http: 0")
    assert [rule for _, _, rule in places_of(text)] == ["range", "unknown-key"]
    text = GOOD.replace("retries: 2", "retries: x").replace("old: 100", "old: 90").replace("dc: 80", "dd: 80")
    assert [rule for _, _, rule in places_of(text)] == ["unknown-site", "type", "split-sum"]


def test_a_broken_app_does_not_hide_the_problems_of_another():
    text = GOOD.replace("hosts: [shop]", "hosts: []") + GOOD[GOOD.index("  shop:") :].replace("shop", "blog").replace(
        "old: 100", "old: 90"
    )
    assert [rule for _, _, rule in places_of(text)] == ["length", "split-sum"]


def test_hundreds_of_mistakes_are_cut_short():
    sites = "".join(f"  s{n}: {{edges: [{{public: [x]}}], y: 1}}\n" for n in range(400))
    with pytest.raises(PolicyError) as caught:
        load(f"zone: {{name: a, nameservers: {{ns1: [192.0.2.1]}}}}\nsites:\n{sites}")
    assert len(caught.value.problems) == 201
    first = caught.value.problems[0]
    assert (first.line, first.rule, first.message) == (0, "too-many", "more than 200 problems; 200 of them follow")


@pytest.mark.parametrize(
    ("written", "algorithm", "lifetime_s"),
    [
        ("true", "ecdsa-p256", None),
        ("{}", "ecdsa-p256", None),
        ("{algorithm: ed25519, zsk_lifetime: 30d}", "ed25519", 30 * 86_400),
    ],
)
def test_a_zone_is_signed_as_it_says(written, algorithm, lifetime_s):
    how = load(spoiled("ttl: 10s", f"dnssec: {written}")).policy.zone.signing
    assert (how.algorithm, how.zsk_lifetime) == (algorithm, lifetime_s)


@pytest.mark.parametrize("written", ["ttl: 10s", "dnssec: false"])
def test_a_zone_is_not_signed_unless_it_says_so(written):
    assert load(spoiled("ttl: 10s", written)).policy.zone.signing is None
