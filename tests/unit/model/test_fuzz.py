"""Whatever a folder holds, the answer is a policy or a PolicyError with places."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.errors import PolicyError
from gslb.model.reader import parse_policy
from gslb.model.words import format_duration, parse_duration
from tests.support.examples import examples
from tests.unit.model.good_policy import GOOD

TOKENS = re.findall(r"\w+|\s+|.", GOOD)
SNIPPETS = [
    "", "\t", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!x ", "<<: ", "? ", "---\n", "null", "true", "-1", "1e999",
    ".nan", "'", '"', "#", "|", "weighted", "check", "[key]", "::1", "0.0.0.0", "100%", "\ufeff", "\u2028", "é", "99999999d",
]  # fmt: skip


def read(files: dict[str, bytes]) -> None:
    try:
        problems = parse_policy(files).warnings
    except PolicyError as error:
        problems = tuple(error.problems) or ("a PolicyError without problems",)
    for problem in problems:
        assert problem.message
        assert problem.remedy
        assert (problem.line == 0) == (problem.column == 0)


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=200), max_size=3))
def test_any_octets(files):
    read(files)


@given(st.text(alphabet="ab:-{}[]&*!|>'\"%@`,? \n\t#~0.", max_size=80))
def test_any_text_of_yaml_signs(text):
    read({"f": text.encode()})


@settings(max_examples=examples(300))
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.sampled_from(SNIPPETS)), min_size=1, max_size=4))
def test_a_good_policy_with_pieces_replaced(changes):
    tokens = list(TOKENS)
    for index, snippet in changes:
        tokens[index] = snippet
    read({"f": "".join(tokens).encode()})


@settings(max_examples=examples(200))
@given(st.lists(st.integers(0, len(GOOD.splitlines()) - 1), min_size=1, max_size=4), st.integers(-4, 4))
def test_a_good_policy_with_lines_moved(numbers, indent):
    lines = GOOD.splitlines()
    for number in numbers:
        line = lines.pop(number % len(lines))
        lines.insert((number * 7) % len(lines), " " * max(indent, 0) + line[max(-indent, 0) :])
    read({"f": "\n".join(lines).encode()})


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_durations_are_written_without_loss(seconds):
    assert parse_duration(format_duration(seconds)) == seconds
