"""Keys against the examples of their RFCs, with dnspython as a second opinion; what a seal protects from."""

from __future__ import annotations

import base64
import dataclasses
import struct

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from gslb.dns.dnssec import keys, making
from gslb.errors import RefusedError
from gslb.model.wire_name import from_text
from gslb.snapshot.types import ZoneKey

SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
NONCE = b"twelve bytes"
SECRET_HALF = b"the private half of a zone's key"


@dataclasses.dataclass(frozen=True)
class Example:
    """What an RFC gives: a key, its DS record, and one signed record."""

    zone: str
    algorithm: int
    private: str
    public: str
    tag: int
    ds: str
    record: str
    signed: str

    @property
    def key(self) -> ZoneKey:
        draft = ZoneKey("ksk", self.algorithm, base64.b64decode(self.public), "", True, True, True)
        raw = base64.b64decode(self.private)
        sealed = keys.seal_private(raw, SECRET, keys.seal_context(self.zone, draft), NONCE)
        return dataclasses.replace(draft, private=sealed)

    def open(self) -> keys.SigningKey:
        return keys.open_key(self.zone, self.key, [SECRET])


RFC6605 = Example(
    zone="example.net",
    algorithm=13,
    private="GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=",
    public="GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    tag=55648,
    ds="55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
    record="www.example.net. 3600 IN A 192.0.2.1",
    signed="A 13 3 3600 20100909100439 20100812100439 55648 example.net. "
    "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
)
RFC8080_FIRST = Example(
    zone="example.com",
    algorithm=15,
    private="ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
    public="l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    tag=3613,
    ds="3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
    record="example.com. 3600 IN MX 10 mail.example.com.",
    signed="MX 15 2 3600 20150819220000 20150729220000 3613 example.com. "
    "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
)
RFC8080_SECOND = Example(
    zone="example.com",
    algorithm=15,
    private="DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=",
    public="zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=",
    tag=35217,
    ds="35217 15 2 401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c",
    record="example.com. 3600 IN MX 10 mail.example.com.",
    signed="MX 15 2 3600 20150819220000 20150729220000 35217 example.com. "
    "zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==",
)
EXAMPLES = pytest.mark.parametrize(
    "example", [RFC6605, RFC8080_FIRST, RFC8080_SECOND], ids=["RFC 6605 6.1", "RFC 8080 6.1", "RFC 8080 6.1 second"]
)
ALGORITHMS = pytest.mark.parametrize("algorithm", [keys.ECDSA_P256, keys.ED25519])


def signed_data(example: Example) -> tuple[bytes, bytes]:
    """What is signed, and the signature, of the RFC's own record: made by dnspython."""
    owner, ttl, _, rtype, rest = example.record.split(maxsplit=4)
    rrset = dns.rrset.from_text(owner, int(ttl), "IN", rtype, rest)
    rrsig = dns.rrset.from_text(owner, int(ttl), "IN", "RRSIG", example.signed)[0]
    return dns.dnssec._make_rrsig_signature_data(rrset, rrsig), rrsig.signature


@EXAMPLES
def test_the_tag_and_the_ds_record(example: Example) -> None:
    rdata = keys.dnskey_rdata(example.key)
    assert keys.key_tag(rdata) == example.tag
    tag, algorithm, digest_type, digest = example.ds.split()
    expected = struct.pack("!HBB", int(tag), int(algorithm), int(digest_type)) + bytes.fromhex(digest)
    assert keys.ds_rdata(from_text(example.zone), rdata) == expected


@pytest.mark.parametrize(("digest", "belongs"), [("SHA256", True), ("SHA384", True), ("SHA1", False)])
def test_which_ds_records_are_of_a_key(digest: str, belongs: bool) -> None:
    zone, rdata = dns.name.from_text("example.net."), keys.dnskey_rdata(RFC6605.key)
    dnskey = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, rdata, 0, len(rdata))
    record = dns.dnssec.make_ds(zone, dnskey, digest, policy=dns.dnssec.allow_all_policy).to_wire()
    assert keys.is_ds_of(record, from_text("example.net"), rdata) is belongs
    assert not keys.is_ds_of(record, from_text("example.org"), rdata)
    assert not keys.is_ds_of(record[:-1] + bytes([record[-1] ^ 1]), from_text("example.net"), rdata)
    assert not keys.is_ds_of(b"", from_text("example.net"), rdata)


@EXAMPLES
def test_the_signature_of_the_example_verifies(example: Example) -> None:
    data, signature = signed_data(example)
    key = example.open()
    assert key.verify(signature, data)
    assert not key.verify(signature, data + b"x")
    assert not key.verify(signature[:-1] + bytes([signature[-1] ^ 1]), data)
    assert not key.verify(signature[:-1], data)


@pytest.mark.parametrize("example", [RFC8080_FIRST, RFC8080_SECOND])
def test_ed25519_signs_what_the_rfc_shows(example: Example) -> None:
    data, signature = signed_data(example)
    assert example.open().sign(data) == signature


@ALGORITHMS
def test_dnspython_reads_and_believes_what_a_new_key_signs(algorithm: int) -> None:
    zone, owner = dns.name.from_text("example.org."), "www.example.org."
    made = making.make_key("example.org", "zsk", algorithm, SECRET)
    key = keys.open_key("example.org", made, [SECRET])
    dnskey = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, key.dnskey, 0, len(key.dnskey))
    rrset = dns.rrset.from_text(owner, 300, "IN", "TXT", '"signed"')
    text = f"TXT {algorithm} 3 300 20300101000000 20200101000000 {key.tag} example.org. "
    draft = dns.rrset.from_text(owner, 300, "IN", "RRSIG", text + base64.b64encode(bytes(64)).decode())[0]
    signature = key.sign(dns.dnssec._make_rrsig_signature_data(rrset, draft))
    rrsig = dns.rrset.from_text(owner, 300, "IN", "RRSIG", text + base64.b64encode(signature).decode())
    known = {zone: dns.rrset.from_rdata(zone, 3600, dnskey)}
    dns.dnssec.validate(rrset, rrsig, known, now=1_700_000_000)
    assert dns.dnssec.key_id(dnskey) == key.tag
    assert dns.dnssec.make_ds(zone, dnskey, "SHA256").to_wire() == keys.ds_rdata(from_text("example.org"), key.dnskey)


@ALGORITHMS
def test_every_node_makes_the_same_signature(algorithm: int) -> None:
    made = making.make_key("example.org", "zsk", algorithm, SECRET)
    one, other = (keys.open_key("example.org", made, [SECRET]) for _ in range(2))
    assert one == other
    assert one.sign(b"data") == other.sign(b"data")
    assert len(one.sign(b"data")) == 64


def test_flags_say_the_role() -> None:
    ksk = RFC6605.key
    zsk = dataclasses.replace(ksk, role="zsk")
    assert keys.dnskey_rdata(ksk)[:4] == bytes.fromhex("0101030d")
    assert keys.dnskey_rdata(zsk)[:4] == bytes.fromhex("0100030d")


@pytest.mark.parametrize("rdata", [b"", bytes.fromhex("0101030d"), bytes.fromhex("0101030f") + b"short",
                                   bytes.fromhex("01010308") + bytes(64), bytes.fromhex("0101030d") + bytes(64)])  # fmt: skip
def test_what_is_no_key_verifies_nothing(rdata: bytes) -> None:
    assert not keys.verify(rdata, bytes(64), b"data")


def test_any_line_of_the_secret_opens_a_key() -> None:
    assert keys.open_key(RFC6605.zone, RFC6605.key, [OTHER, SECRET]).tag == RFC6605.tag


@pytest.mark.parametrize(
    ("zone", "change", "secrets"),
    [
        ("example.net", {}, [OTHER]),
        ("example.net", {}, []),
        ("example.net", {}, [b"of another length"]),
        ("example.org", {}, [SECRET]),
        ("example.net", {"role": "zsk"}, [SECRET]),
        ("example.net", {"algorithm": 15}, [SECRET]),
        ("example.net", {"public": bytes(64)}, [SECRET]),
    ],
    ids=["wrong secret", "no secret", "short secret", "moved to another zone", "another role", "another algorithm",
         "another public key"],
)  # fmt: skip
def test_a_seal_opens_only_where_it_belongs(zone: str, change: dict[str, object], secrets: list[bytes]) -> None:
    with pytest.raises(RefusedError) as refused:
        keys.open_key(zone, dataclasses.replace(RFC6605.key, **change), secrets)
    assert refused.value.rule == "dnssec-secret"
    assert zone in refused.value.message


@pytest.mark.parametrize("damage", [
    lambda text: text[:-4], lambda text: text[:10], lambda text: "v1:", lambda text: "", lambda text: "v2:" + text[3:],
    lambda text: text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:], lambda text: text + "!",
])  # fmt: skip
def test_a_damaged_seal_does_not_open(damage) -> None:
    key = RFC6605.key
    with pytest.raises(RefusedError, match="no line of the DNSSEC secret opens the ksk 55648 of"):
        keys.open_key("example.net", dataclasses.replace(key, private=damage(key.private)), [SECRET])


@pytest.mark.parametrize("raw", [bytes(32), b"\xff" * 32, bytes(31) + b"\1"], ids=["zero", "too large", "another key"])
def test_a_private_half_that_does_not_fit_is_refused(raw: bytes) -> None:
    key = RFC6605.key
    sealed = keys.seal_private(raw, SECRET, keys.seal_context("example.net", key), NONCE)
    with pytest.raises(RefusedError) as refused:
        keys.open_key("example.net", dataclasses.replace(key, private=sealed), [SECRET])
    assert refused.value.rule == "dnssec-key"


def test_a_seed_of_the_wrong_length_is_refused() -> None:
    key = RFC8080_FIRST.key
    sealed = keys.seal_private(b"short", SECRET, keys.seal_context("example.com", key), NONCE)
    with pytest.raises(RefusedError, match="does not belong"):
        keys.open_key("example.com", dataclasses.replace(key, private=sealed), [SECRET])


def test_sealing_again_under_a_new_secret() -> None:
    made = making.make_key("example.org", "ksk", 13, SECRET)
    assert making.reseal("example.org", made, [SECRET, OTHER]) is made
    moved = making.reseal("example.org", made, [OTHER, SECRET])
    assert keys.open_key("example.org", moved, [OTHER]).dnskey == keys.dnskey_rdata(made)
    with pytest.raises(RefusedError):
        keys.open_key("example.org", moved, [SECRET])
    assert making.reseal("example.org", made, [OTHER]) is made


def test_no_text_holds_what_is_private() -> None:
    key = RFC6605.key
    opened = RFC6605.open()
    raw = base64.b64decode(RFC6605.private)
    assert "v1:" not in repr(key)
    for text in (repr(key), str(key), repr(opened), str(opened), keys.seal_private(SECRET_HALF, SECRET, b"", NONCE)):
        for half in (raw, SECRET_HALF):
            for form in (half.hex(), base64.b64encode(half).decode(), repr(half), str(int.from_bytes(half))):
                assert form not in text
    assert "rivate" not in repr(opened)
