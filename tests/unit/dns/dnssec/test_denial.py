"""Canonical order, NSEC data, and which denial a name lies behind."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from hypothesis import given
from hypothesis import strategies as st

from gslb.dns.dnssec.denial import denial_of, nsec_rdata, sort_key
from gslb.dns.tables import Chain, Denial
from gslb.model.wire_name import from_text

LABELS = st.binary(min_size=1, max_size=4).map(bytes.lower)
NAMES = st.lists(LABELS, max_size=4).map(lambda labels: dns.name.Name((*labels, b"")))


def key(name: dns.name.Name) -> bytes:
    return sort_key(name.to_wire())


@given(NAMES, NAMES)
def test_keys_compare_as_names_do(one, other):
    assert (key(one) < key(other)) == (one < other)
    assert (key(one) == key(other)) == (one == other)


def test_the_order_of_rfc_4034_section_6_1():
    texts = ["example", "a.example", "yljkjljk.a.example", "z.a.example", "zabc.a.example", "z.example",
             r"\001.z.example", "*.z.example", r"\200.z.example"]  # fmt: skip
    assert sorted(texts, key=lambda text: sort_key(from_text(text))) == texts


@given(st.sets(st.integers(1, 0xFFFF), max_size=12))
def test_the_bitmap_holds_the_types_and_its_own_two(types):
    rdata = nsec_rdata(b"\x01b\0", types)
    read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.NSEC, rdata, 0, len(rdata))
    held = {
        window << 8 | octet << 3 | bit
        for window, octets in read.windows
        for octet, value in enumerate(octets)
        for bit in range(8)
        if value & 0x80 >> bit
    }
    assert held == types | {dns.rdatatype.RRSIG, dns.rdatatype.NSEC}
    assert read.next == dns.name.from_text("b")


def test_a_name_lies_behind_itself_or_the_one_before():
    owners = ["example", "b.example", "c.b.example", "d.example"]
    denials = [Denial(from_text(owner)[:-9], b"", b"") for owner in owners]
    chain = Chain(tuple(sort_key(from_text(owner)) for owner in owners), tuple(denials))

    def behind(text):
        return owners[denials.index(denial_of(chain, from_text(text)))]

    asked = ["example", "a.example", "b.example", "z.b.example", "c.example", "x.c.b.example", "zz.example"]
    assert [behind(text) for text in asked] == [
        "example", "example", "b.example", "c.b.example", "c.b.example", "c.b.example", "d.example",
    ]  # fmt: skip
