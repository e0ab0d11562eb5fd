import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.rules import LIMIT_RULES, Rules, covers, read_rules, rules_of, written_rules
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.routing import Normal


def snapshot(*routes):
    backends = {"old": {"dc": ["192.0.2.1:80"]}, "new": {"dc": ["192.0.2.2:80"]}}
    policy = {
        "zone": {"name": "gslb.test", "nameservers": {"ns1": ["192.0.2.53"]}},
        "sites": {"dc": {"edges": [{"public": ["192.0.2.10"]}]}},
        "apps": {"shop": {"hosts": ["shop"], "backends": backends, "routes": list(routes)}},
    }
    return compile_snapshot(Intent(revision=1, policy=Policy.model_validate(policy)), 0.0)


def route(name="pay", **more):
    mirror = {"to": "new", "percent": 10, "compare": more.pop("compare", True)}
    return {"name": name, "split": {"old": 100}, "mirror": [mirror], **more}


def test_what_is_compared_is_written_down_and_read_again():
    compare = {"ignore": ["body.a"], "normalise": ["ids", {"regex": "x"}], "redact": ["body.b"], "body": 10}
    rules = rules_of(snapshot(route(compare=compare), route("none", compare=False)))
    normal = (Normal("ids"), Normal("regex", "**", "x"))
    assert rules == (Rules("shop/pay", "new", "old", True, 10, ("body.a",), normal, ("body.b",)),)
    assert read_rules(written_rules(rules)) == {"shop/pay": rules[0]}


def test_headers_that_the_edge_writes_prove_nothing():
    edits = {
        "response": {"set": {"X-A": "1"}, "remove": ["X-B"]},
        "sides": {"old": {"response": {"add": {"X-C": "1"}}}},
        "sticky": "cookie",
        "cors": {"origins": ["*"]},
    }
    (rules,) = rules_of(snapshot(route(**edits)))
    assert {"x-a", "x-b", "x-c", "set-cookie", "access-control-allow-origin"} <= set(rules.own_headers)


def test_more_than_can_be_are_not_compared():
    assert len(rules_of(snapshot(*(route(f"r{number}") for number in range(LIMIT_RULES + 1))))) == LIMIT_RULES


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"[{}]", b'[{"key": 1}]', b"null"])
def test_a_file_that_is_none_is_refused(content):
    with pytest.raises((ValueError, KeyError, TypeError)):
        assert read_rules(content) is None


@pytest.mark.parametrize(
    ("pattern", "path", "is_covered"),
    [
        ("body", "body", True), ("body", "body.a", True), ("body", "body[].a", True), ("body", "bodyguard", False),
        ("body.a", "body.ab", False), ("body.*", "body.a.b", True), ("body.*.c", "body.a.b.c", False),
        ("body.**.c", "body.a.b.c", True), ("**.c", "body.c", True), ("body[].c", "body[].c", True),
        ("header.x-*", "header.x-trace", True), ("**", "anything", True), ("body.a.*", "body.a", False),
    ],
)  # fmt: skip
def test_patterns(pattern, path, is_covered):
    assert covers((pattern,), path) == is_covered


@given(st.text(max_size=20))
def test_every_pattern_without_a_star_covers_itself(text):
    pattern = text.replace("*", "")
    assert covers((pattern,), pattern)
