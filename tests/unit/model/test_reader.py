"""Several files and documents as one policy."""

import pytest

from gslb.errors import PolicyError
from gslb.model.policy import Policy
from gslb.model.reader import MAX_FILE_BYTES, MAX_FILES, parse_policy
from gslb.model.starter import STARTER
from tests.unit.model.good_policy import GOOD, load

ZONE = GOOD[: GOOD.index("sites:")]
SITES = GOOD[GOOD.index("sites:") : GOOD.index("apps:")]
APPS = GOOD[GOOD.index("apps:") :]


def parse(**files: str):
    return parse_policy({f"p/{name}.yaml": text.encode() for name, text in files.items()})


def refused(**files: str) -> list[tuple[str, int, int, str]]:
    with pytest.raises(PolicyError) as caught:
        parse(**files)
    return [(p.file, p.line, p.column, p.rule) for p in caught.value.problems]


def test_keys_may_stand_in_any_file_and_any_document():
    whole = load(GOOD).policy
    assert parse(a=ZONE, b=SITES, c=APPS).policy == whole
    assert parse(a=APPS + "---\n" + SITES, b=ZONE).policy == whole


def test_sites_and_apps_of_several_files_are_put_together():
    more = "sites:\n  gcp:\n    edges: [{public: [203.0.113.9]}]\n"
    policy = parse(a=GOOD, b=more, c=APPS.replace("shop", "blog")).policy
    assert list(policy.sites) == ["dc", "aws", "gcp"]
    assert list(policy.apps) == ["shop", "blog"]


def test_an_alias_between_sections_is_not_changed_by_the_merge():
    sites = "sites: &s\n  dc: {edges: [{public: [192.0.2.1]}]}\n"
    assert refused(a=ZONE + sites + "apps: *s\n", b="apps: {x: {}}\n")
    assert not load(ZONE + sites).policy.apps


def test_what_stands_twice_names_both_places():
    with pytest.raises(PolicyError) as caught:
        parse(a=GOOD, b=ZONE, c=APPS)
    problems = [(p.file, p.line, p.column, p.rule, p.message) for p in caught.value.problems]
    assert problems == [
        ("p/b.yaml", 1, 1, "duplicate-key", "environment stands here a second time; the first is at p/a.yaml:1:1"),
        ("p/b.yaml", 2, 1, "duplicate-key", "zone stands here a second time; the first is at p/a.yaml:2:1"),
        ("p/c.yaml", 2, 3, "duplicate-key", "apps.shop stands here a second time; the first is at p/a.yaml:13:3"),
    ]


def test_a_section_that_is_no_mapping_does_not_merge():
    assert ("p/b.yaml", 1, 1, "duplicate-key") in refused(a=GOOD, b="apps: [x]\n")


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "5\n"])
def test_a_document_is_a_mapping(text):
    assert refused(a=text) == [("p/a.yaml", 1, 1, "not-a-mapping")]
    assert refused(a=GOOD, b=text) == [("p/b.yaml", 1, 1, "not-a-mapping")]


@pytest.mark.parametrize("kind", ["kind: HTTPRoute\n", "kind: [x]\n", ""])
def test_foreign_documents_are_told_apart_from_mistakes(kind):
    text = f"{kind}apiVersion: example.com/v1\nspec: {{}}\n"
    found = [item for item in refused(a=GOOD, b=text) if item[3] != "foreign-type"]
    assert found == [("p/b.yaml", 1 + bool(kind), 1, "foreign-document")]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n---\n"])
def test_no_documents_are_no_policy(text):
    assert refused(a=text) == [("p/a.yaml", 0, 0, "no-policy")]


def test_no_files_are_no_policy():
    assert refused() == [("policy", 0, 0, "no-policy")]


def test_what_a_broken_file_may_hold_is_not_missed():
    assert refused(a=ZONE + SITES, b="apps: [\n", c=APPS.replace("aws: 20", "gcp: 20")) == [
        ("p/b.yaml", 2, 1, "yaml"),
    ]
    assert refused(a=APPS, b="zone: [\n") == [("p/b.yaml", 2, 1, "yaml")]


def test_all_files_are_read_before_anything_is_said():
    assert [name for name, *_ in refused(a="a: [\n", b="b: {\n", c="c: @\n")] == ["p/a.yaml", "p/b.yaml", "p/c.yaml"]


def test_limits():
    assert [rule for *_, rule in refused(a="#" * (MAX_FILE_BYTES + 1))] == ["too-large"]
    assert [rule for *_, rule in refused(**{f"f{n}": "#" * MAX_FILE_BYTES for n in range(5)})] == ["too-large"]
    assert [rule for *_, rule in refused(**{f"f{n}": "" for n in range(MAX_FILES + 1)})] == ["too-large"]
    half = "x: [" + "1," * 150_000 + "]\n"
    assert "too-large" in [rule for *_, rule in refused(a=half, b=half)]


def test_the_digest_is_of_names_and_octets_wherever_the_folder_stands():
    here, there = load(GOOD, "here/a.yaml"), load(GOOD, "/there/a.yaml")
    assert here.digest == there.digest
    assert len(here.digest) == 16
    assert len({here.digest, load(GOOD, "b.yaml").digest, load(GOOD + "\n").digest}) == 3


def test_errors_are_told_before_warnings_where_not_all_can_be():
    sites = "".join(
        f"  s{n}: {{edges: [{{public: [10.1.{n // 250}.{n % 250 + 1}], peer: 'a{n}:1'}}]}}\n" for n in range(300)
    )
    text = ZONE + "sites:\n" + sites + APPS.replace("dc:", "s0:").replace("aws:", "s1:").replace("old: 100", "old: 9")
    assert "split-sum" in [rule for *_, rule in refused(a=text)]
    warned = load(text.replace("old: 9}", "old: 100}"))
    assert [p.rule for p in warned.warnings] == ["no-effect"] * 300


def test_a_policy_survives_json():
    near = "latency: {10.0.0.0/8: {dc: 12ms, aws: 80.5ms}}"
    for text in (
        GOOD,
        STARTER,
        GOOD.replace("environment: test", near).replace("- healthy", "- geo: {countries: {DE: dc}}"),
    ):
        policy = load(text.replace("ttl: 10s", "ttl: 1h1s").replace("timeout: 1s", "timeout: 1.0005s")).policy
        again = Policy.model_validate_json(policy.model_dump_json(exclude_none=True))
        assert again == policy
        assert again.model_dump_json() == policy.model_dump_json()


def test_the_starter_is_good_without_warnings():
    assert load(STARTER).warnings == ()


def test_two_thousand_endpoints_are_read():
    endpoints = ", ".join(f'"10.{n // 250 + 20}.{n % 250}.1:8080"' for n in range(2000))
    policy = load(GOOD.replace('"10.1.0.11:8080"', endpoints)).policy
    assert len(policy.apps["shop"].backends["old"].endpoints["dc"]) == 2000
