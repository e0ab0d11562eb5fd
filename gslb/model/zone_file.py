"""A standard zone file (RFC 1035 section 5) to records, with the line of each and every problem at once.

Only reading: whether the records make a zone is `zone_check`'s work. No file is opened here. dnspython reads names and
data, so that every type that it knows, and by RFC 3597 every other, may be written in its usual form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.ttl

from gslb.errors import Problem
from gslb.model.wire_name import to_text

__all__ = ["MAX_RECORDS", "Record", "ZoneFile", "read_zone_file", "type_text", "written"]

MAX_RECORDS = 500_000
_IN = dns.rdataclass.IN
_CLASSES = ("IN", "CH", "HS", "CS", "ANY", "NONE")
_SIGNING = (dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3, dns.rdatatype.NSEC3PARAM)
_NOT_BRACKETS = re.compile(r'\\.|"(?:\\.|[^"\\])*"|;.*')
_NO_TTL = "write a line $TTL 1h at the top, or a TTL before the type"


class Record(NamedTuple):
    """`owner` is lower-case wire format, `rdata` is without compression. `line` counts from 1."""

    line: int
    owner: bytes
    rtype: int
    ttl_s: int
    rdata: bytes


class ZoneFile(NamedTuple):
    """What could be read, and what could not."""

    records: Sequence[Record]
    problems: Sequence[Problem]


class _WrongError(Exception):
    """One entry is wrong: rule, message, remedy."""


def read_zone_file(name: str, data: bytes, apex: bytes) -> ZoneFile:
    """The records of the file `name` for the zone `apex`, which relative names stand in until `$ORIGIN` says otherwise.

    `$INCLUDE` and `$GENERATE` are refused: everything that counts stands in the policy folder, as it is answered.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(name, line, 1, "zone-syntax", "this is not UTF-8", r"write other octets as \DDD")
        return ZoneFile((), (problem,))
    reader = _Reader(apex)
    records: list[Record] = []
    problems: list[Problem] = []
    for line, entry in _entries(text):
        try:
            record = reader.read(line, entry)
        except _WrongError as error:
            problems.append(Problem(name, line, 1, *error.args))
        except dns.exception.DNSException as error:
            message = str(error).strip().rstrip(".") or type(error).__name__
            problems.append(Problem(name, line, 1, "zone-syntax", message, "write OWNER TTL TYPE DATA, as in RFC 1035"))
        else:
            if record is not None:
                records.append(record)
        if len(records) > MAX_RECORDS:
            message = f"more than {MAX_RECORDS:,} records"
            problems.append(Problem(name, line, 1, "too-large", message, "give some of them a zone of their own"))
            break
    return ZoneFile(records, problems)


def written(records: Sequence[Record]) -> str:
    r"""The records in one form, whatever theirs was: sorted lines of `OWNER TTL IN TYPEn \# LENGTH HEX` (RFC 3597
    section 5), each record once."""
    lines = {
        rf"{to_text(owner)} {ttl_s} IN TYPE{rtype} \# {len(rdata)} {rdata.hex()}".rstrip()
        for _, owner, rtype, ttl_s, rdata in records
    }
    return "\n".join(sorted(lines))


def type_text(rtype: int) -> str:
    """The mnemonic of a type, or `TYPEn`."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rtype))


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Each entry with the number of its first line. Brackets join lines; in quotes and comments they do not count."""
    held: list[str] = []
    first = depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not held:
            first = number
        if held or "(" in line:
            bare = _NOT_BRACKETS.sub("", line)
            depth += bare.count("(") - bare.count(")")
            held.append(line)
            if depth > 0:
                continue
            line, held, depth = "\n".join(held), [], 0
        if line and not line.isspace():
            yield first, line
    if held:
        yield first, "\n".join(held)


class _Reader:
    """What an entry may leave to those before it: origin, default TTL, owner."""

    def __init__(self, apex: bytes) -> None:
        self._origin = dns.name.from_wire(apex, 0)[0]
        self._ttl_s: int | None = None
        self._owner: bytes | None = None

    def read(self, line: int, entry: str) -> Record | None:
        """The record of one entry; None for a directive or a comment. Raises _WrongError or DNSException."""
        tokens = dns.tokenizer.Tokenizer(entry)
        first = tokens.get(want_leading=True)
        if first.is_whitespace():
            following = tokens.get()
            if following.is_eol_or_eof():
                return None
            tokens.unget(following)
        elif first.is_eol_or_eof():
            return None
        elif first.value.startswith("$") and first.is_identifier():
            self._direct(first.value.upper(), tokens)
            return None
        else:
            self._owner = tokens.as_name(first, self._origin).to_digestable()
        if self._owner is None:
            raise _WrongError("zone-syntax", "no name stands here or before", "write the name at the start of the line")
        ttl_s, rtype = self._head(tokens)
        try:
            rdata = dns.rdata.from_text(_IN, rtype, tokens, self._origin, relativize=False)
        except dns.exception.DNSException as error:
            message = f"this is no {dns.rdatatype.to_text(rtype)} record: {str(error).lower().rstrip('.')}"
            raise _WrongError("zone-data", message, "correct what stands after the type") from None
        wire = rdata.to_wire(origin=self._origin)
        assert wire is not None
        return Record(line, self._owner, int(rtype), ttl_s, wire)

    def _direct(self, directive: str, tokens: dns.tokenizer.Tokenizer) -> None:
        if directive == "$TTL":
            self._ttl_s = dns.ttl.from_text(tokens.get_identifier())
        elif directive == "$ORIGIN":
            self._origin = tokens.get_name(self._origin)
        else:
            raise _WrongError("zone-directive", f"{directive[:20]} is not read", "write the records themselves")
        tokens.get_eol()

    def _head(self, tokens: dns.tokenizer.Tokenizer) -> tuple[int, dns.rdatatype.RdataType]:
        """TTL and class in any order, each of them optional, then the type (RFC 1035 section 5.1)."""
        ttl_s = self._ttl_s
        word = tokens.get_identifier()
        for _ in range(2):
            if word[:1].isdigit():
                ttl_s = dns.ttl.from_text(word)
            elif word.upper() == "IN":
                pass
            elif word.upper() in _CLASSES:
                raise _WrongError("zone-class", f"{word} is not the class of the Internet", "write IN, or no class")
            else:
                break
            word = tokens.get_identifier()
        try:
            rtype = dns.rdatatype.from_text(word)
        except (dns.rdatatype.UnknownRdatatype, ValueError):
            raise _WrongError(
                "zone-type", f"{word[:40]} is no record type", "correct it; an unknown type is written TYPE65280"
            ) from None
        if dns.rdatatype.is_metatype(rtype) or rtype in _SIGNING or not rtype:
            raise _WrongError("zone-type", f"{word} cannot stand in a zone file here", "delete the record")
        if ttl_s is None:
            raise _WrongError("zone-ttl", "this record has no TTL", _NO_TTL)
        return ttl_s, rtype
