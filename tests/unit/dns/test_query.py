"""Reading of queries, octet by octet: what is read, and which rcode goes back for what cannot be read."""

import struct

import pytest

from gslb.dns.query import Edns, Options, parse
from gslb.dns.subnet import parse_subnet
from gslb.errors import WireError

QUESTION = b"\x04sHoP\x07Example\0\0\x1c\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
PLAIN_RECORD = b"\0\1\0\1" + bytes(4) + b"\0\0"
FORMERR, NOTIMP = 1, 4


def packet(body, *, flags=0, questions=1, answers=0, authorities=0, additionals=0):
    return struct.pack("!6H", 4711, flags, questions, answers, authorities, additionals) + body


def test_a_plain_query():
    query = parse(packet(QUESTION))
    assert query == (b"\x04shop\x07example\0", 28, 1, QUESTION, None)


def test_the_root_can_be_asked_for():
    assert parse(packet(b"\0\0\2\0\1")).name == b"\0"


@pytest.mark.parametrize(
    ("opt", "edns"),
    [
        (OPT, Edns(1232, 0, False)),
        (b"\0\0\x29\0\0\0\0\x80\0\0\0", Edns(0, 0, True)),
        (b"\0\0\x29\xff\xff\0\5\x7f\xff\0\0", Edns(65535, 5, False)),
        (OPT[:-2] + b"\0\x09" + b"\0\x0c\0\1x" + b"\xff\xff\0\0", Edns(1232, 0, False)),
    ],
)
def test_edns(opt, edns):
    assert parse(packet(QUESTION + opt, additionals=1)).edns == edns


@pytest.mark.parametrize("owner", [b"\xc0\x0c", b"\1x\xc0\x0c", b"\0", b"\1x\1y\0"])
@pytest.mark.parametrize("section", ["answers", "authorities", "additionals"])
def test_other_records_are_passed_over_however_their_names_are_written(owner, section):
    body = QUESTION + owner + PLAIN_RECORD
    assert parse(packet(body, **{section: 1})).edns is None


def test_an_opt_is_found_behind_other_records():
    body = QUESTION + b"\0" + PLAIN_RECORD + b"\0" + PLAIN_RECORD + OPT
    assert parse(packet(body, authorities=1, additionals=2)).edns == Edns(1232, 0, False)


@pytest.mark.parametrize("opcode", range(1, 16))
def test_opcodes(opcode):
    with pytest.raises(WireError) as caught:
        parse(packet(QUESTION, flags=opcode << 11))
    assert caught.value.rcode == NOTIMP


LONG = (b"\x3f" + b"x" * 63) * 3
BROKEN = {
    "no question": packet(b"", questions=0),
    "two questions": packet(QUESTION * 2, questions=2),
    "nothing after the header": packet(b""),
    "name without end": packet(b"\x04shop"),
    "label without end": packet(b"\x3fshop"),
    "no type": packet(b"\x04shop\0"),
    "half a class": packet(QUESTION[:-1]),
    "pointer": packet(b"\xc0\x0c\0\1\0\1"),
    "pointer after a label": packet(b"\x04shop\xc0\x0c\0\1\0\1"),
    "label of 64": packet(b"\x40" + b"x" * 64 + b"\0\0\1\0\1"),
    "name of 256": packet(LONG + b"\x3e" + b"x" * 62 + b"\0\0\1\0\1"),
    "octets left over": packet(QUESTION + b"\0"),
    "octets left over after a record": packet(QUESTION + OPT + b"\0", additionals=1),
    "record missing": packet(QUESTION, additionals=1),
    "owner without end": packet(QUESTION + b"\1", additionals=1),
    "pointer cut in half": packet(QUESTION + b"\xc0", additionals=1),
    "record header cut": packet(QUESTION + OPT[:-1], additionals=1),
    "record longer than the packet": packet(QUESTION + b"\0\0\1\0\1\0\0\0\0\0\1", additionals=1),
    "second opt": packet(QUESTION + OPT * 2, additionals=2),
    "opt with a name": packet(QUESTION + b"\1x" + OPT, additionals=1),
    "opt with a pointer": packet(QUESTION + b"\xc0\x10" + OPT[1:], additionals=1),
    "opt as an answer": packet(QUESTION + OPT, answers=1),
    "opt as an authority": packet(QUESTION + OPT, authorities=1),
    "half an option": packet(QUESTION + OPT[:-1] + b"\3\0\x0a\0", additionals=1),
    "option longer than its record": packet(QUESTION + OPT[:-1] + b"\4\0\x0a\0\1", additionals=1),
    "too many records": packet(QUESTION + (b"\0" + PLAIN_RECORD) * 17, additionals=17),
    "count that would overflow": packet(QUESTION, answers=65535, authorities=65535, additionals=65535),
}


@pytest.mark.parametrize("octets", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_a_format_error(octets):
    with pytest.raises(WireError) as caught:
        parse(octets)
    assert caught.value.rcode == FORMERR


def with_options(*options):
    data = b"".join(code.to_bytes(2) + len(value).to_bytes(2) + value for code, value in options)
    return OPT[:-2] + len(data).to_bytes(2) + data


SUBNET = bytes.fromhex("0001 18 00 c00002")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], Options()),
        ([(3, b"")], Options(nsid=True)),
        ([(8, SUBNET)], Options(subnet=parse_subnet(SUBNET))),
        ([(10, b"x" * 8)], Options(cookie=b"x" * 8)),
        ([(10, b"x" * 16), (10, b"y" * 8)], Options(cookie=b"x" * 16)),
        ([(10, b"x" * 40), (10, b"y")], Options(cookie=b"x" * 40)),
        ([(11, b"")], Options(keepalive=True)),
        ([(11, b"\0\1")], Options()),
        ([(65001, b"z" * 30), (11, b""), (3, b""), (10, b"x" * 24), (8, SUBNET)],
         Options(b"x" * 24, parse_subnet(SUBNET), nsid=True, keepalive=True)),
    ],
)  # fmt: skip
def test_options(options, expected):
    assert parse(packet(QUESTION + with_options(*options), additionals=1)).edns.options == expected


@pytest.mark.parametrize("length", [0, 1, 7, 9, 15, 41, 100])
def test_cookies_of_lengths_that_none_has(length):
    with pytest.raises(WireError) as caught:
        parse(packet(QUESTION + with_options((10, bytes(length))), additionals=1))
    assert caught.value.rcode == FORMERR


def test_a_broken_subnet_is_a_format_error():
    with pytest.raises(WireError) as caught:
        parse(packet(QUESTION + with_options((8, SUBNET + b"x")), additionals=1))
    assert caught.value.rcode == FORMERR


def test_no_question_with_a_cookie():
    query = parse(packet(with_options((10, b"x" * 8)), questions=0, additionals=1))
    assert query == (b"", 0, 0, b"", Edns(1232, 0, False, Options(b"x" * 8)))


@pytest.mark.parametrize(
    ("questions", "body"), [(0, OPT), (0, with_options((3, b""))), (2, with_options((10, b"x" * 8)))]
)
def test_no_question_without_a_cookie(questions, body):
    with pytest.raises(WireError) as caught:
        parse(packet(body, questions=questions, additionals=1))
    assert caught.value.rcode == FORMERR


def test_the_longest_name_and_the_most_records_are_read():
    assert len(parse(packet(LONG + b"\x3d" + b"x" * 61 + b"\0\0\1\0\1")).name) == 255
    assert parse(packet(QUESTION + (b"\0" + PLAIN_RECORD) * 16, additionals=16)).edns is None
