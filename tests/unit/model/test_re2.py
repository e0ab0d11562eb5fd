"""Which patterns are refused before the edge sees them."""

import pytest

from gslb.model.checks.re2 import re2_refusal


@pytest.mark.parametrize(
    "pattern",
    [
        "/item/[0-9]+",
        r"/(?P<id>\d+)/(?:a|b)",
        r"/a\.b",
        r"/\pL+\p{Greek}",
        r"/a\z",
        r"/\Qa.b\E",
        "/[[:alpha:]]+",
        "(?i)/a",
        "/a(?i)b",
        "/(?i:b)",
        "/(?<id>x)",
        "/a*?b+?",
        r"/a\++",
        "/[(?=]x",
        "/[]a]",
        "/x{2,1000}",
        "(" * 500 + ")" * 500,
        "",
    ],
)
def test_taken(pattern):
    assert re2_refusal(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("/(?=a)", "look-around"),
        ("/(?!a)", "look-around"),
        ("/(?<=a)b", "look-around"),
        ("/(?<!a)b", "look-around"),
        (r"/(a)\1", "back-references"),
        ("/(?P<x>a)(?P=x)", "back-references"),
        ("/(?>a)", "atomic"),
        ("/(a)(?(1)b|c)", "conditions"),
        ("/a++", "possessive"),
        ("/a{2}+", "possessive"),
        ("/a{1001}", "1,000 times"),
        ("/(a", "missing )"),
        ("/[a", "missing ]"),
        ("/*a**", "bad repetition operator"),
        ("(" * 2000 + ")" * 2000, "too large"),
        ("a{1,1000}" * 3, "6,001 instructions, and 4,000 are the limit"),
        (r"\pL{1,1000}", "too large"),
        ("\ud800", "half a character"),
    ],
)
def test_refused(pattern, why):
    assert why in str(re2_refusal(pattern))
