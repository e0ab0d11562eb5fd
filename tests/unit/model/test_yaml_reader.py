"""What the YAML reader takes, refuses, and where it says so."""

import pytest

from gslb.model.tree import plain
from gslb.model.yaml_reader import MAX_DEPTH, read_yaml


def read(text: str | bytes):
    documents = read_yaml("f.yaml", text if isinstance(text, bytes) else text.encode())
    return documents, [(p.line, p.column, p.rule) for p in documents.problems]


def value_of(text: str):
    documents, problems = read(text)
    assert not problems
    return plain(documents.roots[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-3", -3),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        (".inf", float("inf")),
        ('"true"', "true"),
        ("'80'", "80"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_are_those_of_the_yaml_1_2_core_schema(text, value):
    read_back = value_of(f"k: {text}")["k"]
    assert read_back == value
    assert type(read_back) is type(value)


def test_nan_is_a_number():
    assert str(value_of("k: .nan")["k"]) == "nan"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1, "duplicate-key")),
        ("a: {x: 1, y: 2, x: 3}\n", (1, 17, "duplicate-key")),
        ("a: &b {x: 1}\nc:\n  <<: *b\n", (3, 3, "merge-key")),
        ("a:\n\tb: 1\n", (2, 1, "yaml")),
        ("a: b\n\tc: d\n", (2, 1, "yaml")),
        ("a: |\n\tx\n", (2, 1, "yaml")),
        ("a: b: c\n", (1, 5, "yaml")),
        ("a: [1, 2\n", (2, 1, "yaml")),
        ("a: {x: 1\n", (2, 1, "yaml")),
        ("a: 'x\n", (2, 1, "yaml")),
        ('a: "\\q"\n', (1, 5, "yaml")),
        ("- a\nb: c\n", (2, 1, "yaml")),
        ("a:\n  b: 1\n c: 2\n", (3, 2, "yaml")),
        ("a: b\nc\nd: e\n", (3, 1, "yaml")),
        ("a: @x\n", (1, 4, "yaml")),
        ("%FOO 1\n---\na\n", (1, 5, "yaml")),
        ("a: !vault x\n", (1, 4, "yaml-tag")),
        ("a: !!str 5\n", (1, 4, "yaml-tag")),
        ("a: !!map {b: 1}\n", (1, 4, "yaml-tag")),
        ("80: x\n", (1, 1, "key-type")),
        ("true: x\n", (1, 1, "key-type")),
        ("~: x\n", (1, 1, "key-type")),
        ("? [a]\n: x\n", (1, 3, "key-type")),
        ("a: &b x\n*b : y\n", (2, 1, "key-type")),
        ("a: *b\n", (1, 4, "yaml-alias")),
        ("a: &b [*b]\n", (1, 8, "yaml-alias")),
        ("a: &b 1\n---\nc: *b\n", (3, 4, "yaml-alias")),
        ("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, (1, 3 + MAX_DEPTH, "yaml-depth")),
        ("\u00e9: \u00e9\nb: \x07\n", (2, 4, "encoding")),
        (b"a: 1\nb: \xff\n", (2, 4, "encoding")),
        (b"\xef\xbb\xbfa: \xff", (1, 4, "encoding")),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(text, expected):
    assert read(text)[1] == [expected]


def test_reading_goes_on_after_a_bad_key():
    documents, problems = read("80: {x: 1}\nb: 2\nb: [3]\nc: 4\n")
    assert plain(documents.roots[0]) == {"b": 2, "c": 4}
    assert [rule for _, _, rule in problems] == ["key-type", "duplicate-key"]
    assert documents.complete


def test_a_duplicate_names_the_place_of_the_first():
    documents, _ = read("a: 1\na: 2\n")
    assert "f.yaml:1:1" in documents.problems[0].message


def test_after_a_syntax_error_the_documents_before_it_are_kept():
    documents, _ = read("a: 1\n---\nb: [\n")
    assert [plain(root) for root in documents.roots] == [{"a": 1}]
    assert not documents.complete


def test_a_byte_order_mark_and_empty_documents_are_no_content():
    documents, problems = read(b"\xef\xbb\xbf---\n---\na: 1\n---\n# nothing\n")
    assert [plain(root) for root in documents.roots] == [{"a": 1}]
    assert not problems


def test_anchors_stand_for_the_same_value_again():
    assert value_of("a: &x {k: [1, 2]}\nb: *x\nc: &y 1\nd: *y\n") == {
        "a": {"k": [1, 2]},
        "b": {"k": [1, 2]},
        "c": 1,
        "d": 1,
    }


def test_an_alias_bomb_is_stopped_before_it_is_written_out():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    _, problems = read("\n".join(lines))
    assert [rule for _, _, rule in problems] == ["too-large"]


def test_aliases_count_for_the_depth():
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 5)]
    _, problems = read("\n".join(lines))
    assert problems == [(MAX_DEPTH, 9 + len(str(MAX_DEPTH - 1)) * 2 - 2 + 1, "yaml-depth")]


def test_too_many_values_are_refused():
    _, problems = read("a: [" + "1," * 200_001 + "]")
    assert [rule for _, _, rule in problems] == ["too-large"]


def test_deep_nesting_does_not_exhaust_the_stack():
    _, problems = read("[" * 100_000)
    assert [rule for _, _, rule in problems] == ["yaml-depth"]
