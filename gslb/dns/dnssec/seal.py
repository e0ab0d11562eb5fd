"""Tables in, the same tables with signatures out: every answer that can be given is signed before it is.

Where records did not change since `previous` and their signature need not be renewed, it is taken over. What a name
answers is decided elsewhere; here it is only signed.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gslb.dns.dnssec import signing
from gslb.dns.dnssec.denial import nsec_rdata, sort_key
from gslb.dns.dnssec.keys import SigningKey, open_key
from gslb.dns.dnssec.signing import Rrset, Validity
from gslb.dns.tables import OWNER, Body, Chain, Denial, Entry, Qtype, Tables
from gslb.errors import RefusedError
from gslb.model.wire_name import ROOT, from_text, nearest, parent
from gslb.snapshot.types import Snapshot

__all__ = ["Signer", "expiry_s", "is_sealed", "open_signers", "pool_bodies", "seal", "seal_new"]

_RECORD = struct.Struct("!HHHIH")
_AFTER_OWNER = struct.Struct("!HHIH")
_IN = 1
_KEY_TYPES = frozenset((Qtype.DNSKEY, Qtype.CDS, Qtype.CDNSKEY))
_CHECK_EVERY = 16

Bodies = Mapping[int, Mapping[int, Body]]
"""By place of a pool, and mark."""


class Signer(NamedTuple):
    """What signs a zone now."""

    ksk: SigningKey
    zsk: SigningKey


def open_signers(snapshot: Snapshot, secrets: Sequence[bytes]) -> dict[bytes, Signer]:
    """What signs each signed zone of `snapshot`, by apex. Raises RefusedError where a key cannot be opened."""
    signers = {}
    for zone in (snapshot.zone, *snapshot.zones):
        if zone.keys:
            ours = {key.role: open_key(zone.name, key, secrets) for key in zone.keys if key.signs}
            signers[from_text(zone.name)] = Signer(ours["ksk"], ours["zsk"])
    return signers


def seal(
    tables: Tables,
    signers: Mapping[bytes, Signer],
    wall_s: float,
    *,
    ahead: Bodies | None = None,
    previous: Tables | None = None,
    validity: Validity | None = None,
) -> Tables:
    """`tables` with the zones of `signers` (by apex) signed at `wall_s` (Unix seconds).

    `ahead`: what the pools may answer under other verdicts, signed as well, so that those need no signatures. Raises
    RefusedError, rule `dnssec-self-check`, where a signature does not fit the DNSKEY records that are to be served.
    """
    sealed = _merged(pool_bodies(tables), ahead or {}) if signers else {}
    work = _Work(tables, signers, wall_s, validity or Validity(), previous)
    work.require_published_keys()
    for name, entry in tables.names.items():
        work.seal_name(name, entry, sealed)
    chains = {apex: work.chain(apex) for apex in signers}
    work.lack(sealed)
    work.check()
    return dataclasses.replace(tables, seals=work.seals, chains=chains, lacking=work.lacking, sealed=sealed)


def is_sealed(tables: Tables, signers: Mapping[bytes, Signer]) -> bool:
    """Whether every answer that the pools can give has its signature."""
    return not signers or not _unsealed(tables)


def seal_new(
    tables: Tables, signers: Mapping[bytes, Signer], wall_s: float, validity: Validity | None = None
) -> Tables:
    """`tables`, sealed before, after new verdicts brought pools new bodies: usually all of them were signed ahead."""
    fresh = _unsealed(tables) if signers else {}
    if not fresh:
        return tables
    work = _Work(tables, signers, wall_s, validity or Validity(), None)
    seals = dict(tables.seals)
    for name, entry in tables.names.items():
        steered = {rtype: content for rtype, content in entry.items() if content in fresh}
        if steered:
            work.seal_name(name, steered, fresh)
            seals[name] = {**seals.get(name, {}), **work.seals.get(name, {})}
    work.lack(fresh)
    work.check()
    lacking = {**tables.lacking, **work.lacking}
    return dataclasses.replace(tables, seals=seals, lacking=lacking, sealed=_merged(tables.sealed, fresh))


def _unsealed(tables: Tables) -> dict[int, dict[int, Body]]:
    fresh: dict[int, dict[int, Body]] = {}
    for place, bodies in pool_bodies(tables).items():
        known = tables.sealed.get(place, {})
        new = {mark: body for mark, body in bodies.items() if mark not in known}
        if new:
            fresh[place] = new
    return fresh


def pool_bodies(tables: Tables) -> dict[int, dict[int, Body]]:
    """Everything that the pools answer as they stand."""
    return {
        place: {
            variant.body.mark: variant.body
            for ranges in (pool.v4, pool.v6)
            for choice in dict(zip(map(id, ranges.choices), ranges.choices, strict=True)).values()
            for variant in choice.variants
        }
        for place, pool in enumerate(tables.pools)
    }


def expiry_s(tables: Tables) -> Mapping[bytes, int]:
    """By apex, when (Unix seconds) the first signature of a signed zone's apex and chain stops being good."""
    found: dict[bytes, int] = {}
    for apex, chain in tables.chains.items():
        moments = [signing.expires_s(record) for record in tables.seals[apex].values()]
        moments += [signing.expires_s(OWNER.to_bytes(2) + denial.seal) for denial in chain.denials]
        found[apex] = min(moments)
    return found


class _Work:
    """One run: what it signs, what it signs with, and what has come of it so far."""

    def __init__(
        self,
        tables: Tables,
        signers: Mapping[bytes, Signer],
        wall_s: float,
        validity: Validity,
        previous: Tables | None,
    ) -> None:
        self._tables = tables
        self._signers = signers
        self._wall_s = wall_s
        self._validity = validity
        self._previous = previous
        self._made = 0
        self._to_check: list[tuple[SigningKey, bytes, Rrset, bytes]] = []
        self._owners: dict[bytes, list[tuple[bytes, set[int]]]] = {apex: [] for apex in signers}
        self.seals: dict[bytes, dict[int, bytes]] = {}
        self.lacking: dict[tuple[bytes, int], Denial] = {}

    def require_published_keys(self) -> None:
        """Refuse to sign with what nobody could verify with."""
        for apex, signer in self._signers.items():
            body = self._tables.names[apex].get(Qtype.DNSKEY)
            published = _rdatas(body) if isinstance(body, Body) else []
            for key in signer:
                if key.dnskey not in published:
                    raise _refusal(f"key {key.tag} is to sign, and is not among the DNSKEY records")

    def seal_name(self, name: bytes, entry: Entry, sealed: Bodies) -> None:
        """Sign what `name` has, each RRset for the zone that it belongs to, and remember the name for the chains."""
        apex, is_apex = self._zone(name), name in self._tables.zones
        above = self._zone(parent(name)) if is_apex and name != ROOT else None
        if apex is not None:
            self._note(apex, name, set(entry) - ({Qtype.DS} if is_apex else set()))
        if above is not None:
            self._note(above, name, {Qtype.NS, *({Qtype.DS} & set(entry))})
        for rtype, content in entry.items():
            zone = above if is_apex and rtype == Qtype.DS else apex
            if zone is None:
                continue
            signer = self._signers[zone]
            if isinstance(content, Body):
                self._seal_static(signer, zone, Rrset(name, rtype, _ttl_s(content), _rdatas(content)), content)
                continue
            ttl_s = self._tables.pools[content].ttl_s
            for body in sealed[content].values():
                if body.answers:
                    self._seal_steered(signer.zsk, zone, Rrset(name, rtype, ttl_s, _rdatas(body)), body.mark)

    def chain(self, apex: bytes) -> Chain:
        """The NSEC records of a zone, of which every name that has records has one (RFC 4035 section 2.3)."""
        owners = sorted((sort_key(name), name, types) for name, types in self._owners[apex])
        before = self._previous.chains.get(apex) if self._previous else None
        known = {denial.labels: denial for denial in before.denials} if before else {}
        denials = []
        for place, (_, name, types) in enumerate(owners):
            following = owners[(place + 1) % len(owners)][1]
            denials.append(self._denial(apex, name, nsec_rdata(following, types), known))
        return Chain(tuple(key for key, _, _ in owners), tuple(denials))

    def lack(self, bodies: Bodies) -> None:
        """Sign that a type is missing, for every name and type of which a pool has an empty body."""
        empty = {place for place, some in bodies.items() if any(not body.answers for body in some.values())}
        if not empty:
            return
        for name, entry in self._tables.names.items():
            for rtype, content in entry.items():
                if content in empty and (apex := self._zone(name)) is not None:
                    others = nsec_rdata(self._following(apex, name), set(entry) - {rtype})
                    self.lacking[name, rtype] = self._denial(apex, name, others, {})

    def check(self) -> None:
        """Verify what was picked for it: all of an apex, and some of the rest."""
        for key, apex, rrset, made in self._to_check:
            if not signing.verifies(key, apex, rrset, made):
                raise _refusal(f"a signature by key {key.tag} does not verify")

    def _zone(self, name: bytes) -> bytes | None:
        """The zone that `name` lies in, where that is to be signed."""
        apex = nearest(name, self._tables.zones)
        return apex if apex in self._signers else None

    def _note(self, apex: bytes, name: bytes, types: set[int]) -> None:
        if name in self._tables.cuts:
            types = types | {Qtype.NS}
        if types:
            self._owners[apex].append((name, types))

    def _following(self, apex: bytes, name: bytes) -> bytes:
        """The name just behind `name`: nothing else can lie between them (RFC 4470 section 3.1)."""
        shadow = b"\x01\x00" + name
        return shadow if len(shadow) <= 255 else apex

    def _denial(self, apex: bytes, name: bytes, rdata: bytes, known: Mapping[bytes, Denial]) -> Denial:
        ttl_s = int.from_bytes(self._tables.zones[apex][4:8])
        record = _AFTER_OWNER.pack(Qtype.NSEC, _IN, ttl_s, len(rdata)) + rdata
        key, span_s = self._signers[apex].zsk, self._validity.span_s(name, self._wall_s)
        old = known.get(name[: -len(apex)])
        if old and old.record == record and signing.is_made_by(key, OWNER.to_bytes(2) + old.seal, ttl_s, span_s):
            return old
        made = self._sign(key, apex, Rrset(name, Qtype.NSEC, ttl_s, (rdata,)))
        return Denial(name[: -len(apex)], record, made[2:])

    def _seal_static(self, signer: Signer, apex: bytes, rrset: Rrset, body: Body) -> None:
        key = signer.ksk if rrset.rtype in _KEY_TYPES else signer.zsk
        before = self._previous.names.get(rrset.owner, {}).get(rrset.rtype) if self._previous else None
        same = isinstance(before, Body) and before.records == body.records
        self._put(key, apex, rrset, rrset.rtype, reuse=same)

    def _seal_steered(self, key: SigningKey, apex: bytes, rrset: Rrset, mark: int) -> None:
        self._put(key, apex, rrset, mark, reuse=self._previous is not None)

    def _put(self, key: SigningKey, apex: bytes, rrset: Rrset, mark: int, *, reuse: bool) -> None:
        made = None
        if reuse and self._previous is not None:
            made = self._previous.seals.get(rrset.owner, {}).get(mark)
            span_s = self._validity.span_s(rrset.owner, self._wall_s)
            if made is not None and not signing.is_made_by(key, made, rrset.ttl_s, span_s):
                made = None
        self.seals.setdefault(rrset.owner, {})[mark] = made or self._sign(key, apex, rrset)

    def _sign(self, key: SigningKey, apex: bytes, rrset: Rrset) -> bytes:
        made = signing.sign(key, apex, rrset, self._validity.span_s(rrset.owner, self._wall_s))
        if rrset.owner == apex or self._made % _CHECK_EVERY == 0:
            self._to_check.append((key, apex, rrset, made))
        self._made += 1
        return made


def _refusal(message: str) -> RefusedError:
    return RefusedError("dnssec-self-check", message, "see gslb dnssec status, and report it: this must not happen")


def _merged(one: Bodies, other: Bodies) -> dict[int, dict[int, Body]]:
    return {place: {**one.get(place, {}), **other.get(place, {})} for place in {**one, **other}}


def _ttl_s(body: Body) -> int:
    return int.from_bytes(body.records[6:10])


def _rdatas(body: Body) -> Sequence[bytes]:
    return list(_each(body))


def _each(body: Body) -> Iterator[bytes]:
    """The data of the records of a body of one RRset, whose owners are all pointers."""
    offset = 0
    for _ in range(body.answers):
        start = offset + _RECORD.size
        offset = start + int.from_bytes(body.records[start - 2 : start])
        yield body.records[start:offset]
