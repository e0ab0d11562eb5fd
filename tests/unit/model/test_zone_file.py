"""Zone files: what is read, and what is said of what cannot be."""

import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gslb.model.wire_name import ancestors, from_text, is_below, parent, to_text
from gslb.model.zone_file import MAX_RECORDS, read_zone_file, type_text, written

APEX = from_text("gslb.example.com")


def read(text):
    return read_zone_file("p/static.zone", text.encode() if isinstance(text, str) else text, APEX)


def records(text):
    file = read(text)
    assert file.problems == () or file.problems == []
    return [
        f"{record.line} {to_text(record.owner).removesuffix('.gslb.example.com')} {record.ttl_s} {type_text(record.rtype)} {record.rdata.hex()}"
        for record in file.records
    ]


def problems(text):
    return [(problem.line, problem.rule) for problem in read(text).problems]


def test_owners_ttls_and_classes_are_optional_in_the_usual_ways():
    text = """; a comment
$TTL 1h

www        A 192.0.2.1 ; another
           300 A 192.0.2.2
    IN     A 192.0.2.3
MAIL 5m IN A 192.0.2.4
mail IN 5m A 192.0.2.5
x.org.     A 192.0.2.6
   ; only a comment, and then only spaces
   \t
@          A 192.0.2.7
$ORIGIN sub
a          A 192.0.2.8
$TTL 60
b          A 192.0.2.9
"""
    assert records(text) == [
        "4 www 3600 A c0000201", "5 www 300 A c0000202", "6 www 3600 A c0000203", "7 mail 300 A c0000204",
        "8 mail 300 A c0000205", "9 x.org 3600 A c0000206", "12 gslb.example.com 3600 A c0000207",
        "14 a.sub 3600 A c0000208", "16 b.sub 60 A c0000209",
    ]  # fmt: skip


def test_brackets_join_lines_but_not_in_quotes_and_comments():
    text = """$TTL 1h
a TXT ( "x ; ("   ; and (
        "y)" )
b TXT "(" \\(
c MX ( 10
       mail )
"""
    assert records(text) == [
        "2 a 3600 TXT 0578203b20280279 29".replace(" 29", "29"), "4 b 3600 TXT 01280128",
        "5 c 3600 MX 000a046d61696c0467736c62076578616d706c6503636f6d00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "rtype", "rdata"),
    [
        ("TYPE65280 \\# 3 010203", 65280, "010203"),
        ("TYPE65280 \\# 0", 65280, ""),
        ("A \\# 4 c0000201", 1, "c0000201"),
        ("TYPE1 192.0.2.1", 1, "c0000201"),
        ("CAA 0 issue ca.example.net", 257, "000569737375 6563612e6578616d706c652e6e6574".replace(" ", "")),
    ],
)
def test_types_known_and_unknown(line, rtype, rdata):
    (record,) = read(f"a 60 {line}").records
    assert (record.rtype, record.rdata.hex()) == (rtype, rdata)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("a A 192.0.2.1", "zone-ttl"),
        ("a 60 A 300.0.0.1", "zone-data"),
        ("a 60 A 192.0.2.1 extra", "zone-data"),
        ("a 60 MX 10", "zone-data"),
        ("a 60 TYPE65280 \\# 3 0102", "zone-data"),
        ("a 60 BLAH x", "zone-type"),
        ("a 60 TYPE65536 x", "zone-type"),
        ("a 60 TYPE0 \\# 0", "zone-type"),
        ("a 60 OPT x", "zone-type"),
        ("a 60 AXFR x", "zone-type"),
        ("a 60 RRSIG x", "zone-type"),
        ("a 60 CH TXT x", "zone-class"),
        ("a 99999999999 A 192.0.2.1", "zone-syntax"),
        ("a 60", "zone-syntax"),
        ("a..b 60 A 192.0.2.1", "zone-syntax"),
        (f"{'x' * 64} 60 A 192.0.2.1", "zone-syntax"),
        ('"a" 60 A 192.0.2.1', "zone-syntax"),
        ("$INCLUDE other.zone", "zone-directive"),
        ("$GENERATE 1-10 a$ A 192.0.2.$", "zone-directive"),
        ("$TTL soon", "zone-syntax"),
        ("$TTL 1h extra", "zone-syntax"),
        ("$ORIGIN", "zone-syntax"),
        ("a 60 TXT ( x", "zone-data"),
        ("a 60 TXT x )", "zone-data"),
        ('a 60 TXT "x', "zone-data"),
    ],
)
def test_a_wrong_entry_costs_no_other(entry, rule):
    assert problems(f"{entry}\n" if "( x" in entry else f"{entry}\nb 60 A 192.0.2.1\n") == [(1, rule)]
    assert len(read(f"a 60 A 192.0.2.1\n{entry}\n").records) == 1


def test_the_first_entry_has_nobody_to_take_its_name_from():
    assert problems("   60 A 192.0.2.1\n") == [(1, "zone-syntax")]


words = st.sampled_from(
    ["@", "a", "*", "60", "IN", "A", "AAAA", "MX", "TXT", "CNAME", "LOC", "NAPTR", "SVCB", "CAA", "APL", "IPSECKEY", "WKS",
     "TYPE65280", "\\#", "4", "c0000201", "192.0.2.1", "::1", "(", ")", '"x"', '"', ";", "$TTL", "$ORIGIN", "x.", "\\1",
     "\\300", "-1", "1e9", "\n", "\t", "\r", "\0", "\x85", "xn--a", "\u00fc", "\u2028"]
)  # fmt: skip


@example(b"\x00 0 TXT \x00")
@example(b"a 60 TXT b\nc 60 A 192.0.2.1")
@given(st.one_of(st.binary(max_size=200), st.lists(words, max_size=40).map(lambda parts: " ".join(parts).encode())))
def test_whatever_the_octets_problems_are_told_and_records_can_be_written(data):
    file = read_zone_file("z", data, APEX)
    assert all(1 <= problem.line <= data.count(b"\n") + 1 for problem in file.problems)
    lines = written(file.records)
    absolute = "".join(line.replace(" ", ". ", 1) + "\n" for line in lines.splitlines())
    assert written(read_zone_file("z", absolute.encode(), APEX).records) == lines


def test_every_problem_says_where_what_and_what_instead():
    problem, _ = read("a 60 A 300.0.0.1\nb 60 A 192.0.2\n").problems
    assert str(problem).startswith("p/static.zone:1:1: [zone-data] this is no A record: ")
    assert problem.remedy


def test_what_is_not_utf_8_is_told_by_its_line():
    assert problems(b'a 60 A 192.0.2.1\nb 60 TXT "\xff"\n') == [(2, "zone-syntax")]
    (record,) = read('a 60 TXT "\N{LATIN SMALL LETTER U WITH DIAERESIS}"').records
    assert record.rdata == b"\x02\xc3\xbc"


def test_an_empty_file_is_a_zone_without_static_records():
    assert read("") == ([], [])


def test_too_many_records(monkeypatch):
    monkeypatch.setattr("gslb.model.zone_file.MAX_RECORDS", 3)
    text = "".join(f"a{n} 60 A 192.0.2.1\n" for n in range(9))
    assert problems(text) == [(4, "too-large")]
    assert MAX_RECORDS >= 100_000


def test_the_written_form_does_not_depend_on_theirs():
    one = read('b 60 A 192.0.2.1\na 60 TXT "x y"\na 60 TYPE65280 \\# 0')
    other = read("$TTL 60\n; hello\na TYPE65280 \\# 0\na TXT x\\ y\nB ( A\n192.0.2.1 )\nb A 192.0.2.1\n")
    assert written(one.records) == written(other.records)
    assert written(one.records).splitlines() == [
        "a.gslb.example.com 60 IN TYPE16 \\# 4 03782079",
        "a.gslb.example.com 60 IN TYPE65280 \\# 0",
        "b.gslb.example.com 60 IN TYPE1 \\# 4 c0000201",
    ]


def test_the_written_form_is_a_zone_file():
    text = "x.\\032\\.y 60 A 192.0.2.1\n* 60 MX 10 \\000.a\n_x._tcp 60 SRV 1 2 3 .\n"
    lines = written(read(text).records)
    again = read_zone_file("p/static.zone", lines.encode(), from_text("."))
    assert written(again.records) == lines


names = st.lists(st.binary(min_size=1, max_size=20).map(bytes.lower), max_size=6)


@given(names, names)
def test_names_have_a_written_form(labels, more):
    name = b"".join(len(label).to_bytes() + label for label in labels) + b"\0"
    longer = b"".join(len(label).to_bytes() + label for label in more) + name
    assert from_text(to_text(name)) == name
    assert from_text(f"{to_text(name).removesuffix('.')}.") == name
    assert is_below(longer, name)
    assert list(ancestors(longer)).count(name) == bool(more)
    assert not labels or parent(name) == b"".join(len(label).to_bytes() + label for label in labels[1:]) + b"\0"


def test_equal_ends_alone_prove_nothing():
    assert not is_below(b"\x05x\x03com\0", b"\x03com\0")
    assert not is_below(b"\x03com\0", b"\x03org\0")


def test_types_have_names():
    assert (type_text(1), type_text(65280)) == ("A", "TYPE65280")
    assert type_text(dns.rdatatype.DNAME) == "DNAME"
