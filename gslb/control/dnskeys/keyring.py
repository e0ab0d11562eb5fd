"""The DNSSEC keys of an Intent: made where a policy asks for them, rolled, stepped, sealed anew. Functions from Intent
to Intent, pure but for the maker of keys that they are given. Each returns the very Intent that it got where nothing
changes; otherwise the version of the overrides rises, never the policy's revision.

Which state follows which is `rollover`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from gslb.control.changes import require_known
from gslb.control.dnskeys import rollover
from gslb.control.dnskeys.rollover import Event, Times
from gslb.dns.dnssec.keys import ALGORITHM_NAMES, dnskey_rdata, is_ds_of, key_tag
from gslb.errors import RefusedError
from gslb.model.policy import Dnssec, Policy
from gslb.model.wire_name import from_text
from gslb.model.zones import all_zones
from gslb.snapshot.intent import Intent, Key
from gslb.snapshot.types import ZoneKey

__all__ = ["Maker", "Role", "advance", "ask_for", "begin_roll", "fit", "no_longer_signed", "observe", "reseal",
           "restart", "signed_zones", "tell", "zone_key"]  # fmt: skip

Role = Literal["ksk", "zsk"]
Maker = Callable[[str, Role, int], ZoneKey]
"""Makes a sealed key of a zone, in no use yet, for a role and an algorithm."""

_NUMBERS = {name: number for number, name in ALGORITHM_NAMES.items()}


def signed_zones(intent: Intent) -> Mapping[str, tuple[Key, ...]]:
    """The zones that the policy signs and that have keys."""
    keys = intent.overrides.keys
    return {name: keys[name] for name, how in _signing(intent.policy).items() if how is not None and name in keys}


def zone_key(key: Key) -> ZoneKey:
    """The key itself, without where it stands in its life."""
    return ZoneKey(key.role, key.algorithm, key.public, key.private, published=False, signs=False, announced=False)


def fit(before: Intent | None, after: Intent, make: Maker, wall_s: float) -> Intent:
    """`after`, which a new policy made of `before`, with keys for every zone that it signs.

    Raises RefusedError, rule `dnssec-algorithm`, where a signed zone would get another algorithm.
    """
    was_signed = signed_zones(before) if before is not None else {}
    changed: dict[str, tuple[Key, ...]] = {}
    for zone, how in _signing(after.policy).items():
        if how is None:
            continue
        keys, number = after.overrides.keys.get(zone, ()), _NUMBERS[how.algorithm]
        if not keys or (keys[0].algorithm != number and zone not in was_signed):
            ksk = _fresh(make, zone, "ksk", number, ())
            changed[zone] = rollover.first(ksk, _fresh(make, zone, "zsk", number, (ksk,)), wall_s)
        elif keys[0].algorithm != number:
            raise RefusedError(
                "dnssec-algorithm",
                f"{zone} is signed with {ALGORITHM_NAMES[keys[0].algorithm]}, and a signed zone keeps its algorithm",
                "take its DS records out of the parent zone, wait for their TTL, apply dnssec: false, then the new one",
            )
        elif zone not in was_signed:
            changed[zone] = rollover.resume(keys, wall_s)
    return _with_keys(after, changed)


def no_longer_signed(before: Intent | None, after: Intent) -> Sequence[str]:
    """Zones that were signed, and are not any more."""
    was_signed = signed_zones(before) if before is not None else {}
    return sorted(set(was_signed) - set(signed_zones(after)))


def begin_roll(intent: Intent, zone: str, role: Role, make: Maker, wall_s: float) -> Intent:
    """A new key of `zone` on its way to take the active one's place. Raises as `rollover.roll`, and RefusedError, rule
    `not-signed`, or PolicyError, rule `unknown-zone`."""
    zone, keys = _keys_of(intent, zone)
    new = _fresh(make, zone, role, keys[0].algorithm, keys)
    return _with_keys(intent, {zone: rollover.roll(keys, new, wall_s)})


def tell(intent: Intent, zone: str, event: Event, wall_s: float) -> Intent:
    """A person has looked at the parent: it has the DS record of the new key, or no longer that of the old one.

    Raises RefusedError, rule `not-waiting`, where no key of `zone` waits for that, and as `begin_roll`.
    """
    zone, keys = _keys_of(intent, zone)
    states = ("new", "ready", "announced") if event == "ds-seen" else ("withdrawn",)
    waiting = next((key for key in keys if key.role == "ksk" and key.state in states), None)
    if waiting is None:
        what = "to appear" if event == "ds-seen" else "to disappear"
        raise RefusedError(
            "not-waiting", f"no key of {zone} waits for a DS record {what}", "gslb dnssec status says what comes next"
        )
    return _with_keys(intent, {zone: rollover.hear(keys, waiting, event, wall_s)})


def ask_for(intent: Intent) -> Sequence[str]:
    """Zones whose next step the parent's DS records decide."""
    states = ("new", "ready", "announced", "confirmed", "withdrawn")
    return [zone for zone, keys in signed_zones(intent).items() if any(key.state in states for key in keys)]


def observe(
    intent: Intent, zone: str, everywhere: Iterable[bytes], anywhere: Iterable[bytes], at: tuple[float, int | None]
) -> Intent:
    """The parent of `zone` was asked: `everywhere` are DS records that all of its servers have, `anywhere` those that
    any has. `at` is when (Unix seconds), and how long resolvers may keep what they said before."""
    wall_s, ds_ttl_s = at
    keys = signed_zones(intent).get(zone, ())
    owner, everywhere, anywhere = from_text(zone), tuple(everywhere), tuple(anywhere)
    for key in keys:
        dnskey = dnskey_rdata(zone_key(key))
        if any(is_ds_of(record, owner, dnskey) for record in everywhere):
            keys = rollover.hear(keys, key, "ds-seen", wall_s, ds_ttl_s)
        elif not any(is_ds_of(record, owner, dnskey) for record in anywhere):
            keys = rollover.hear(keys, key, "ds-gone", wall_s, ds_ttl_s)
    return _with_keys(intent, {zone: keys} if keys else {})


def advance(intent: Intent, times: Mapping[str, Times], make: Maker, wall_s: float) -> Intent:
    """Every wait that is over at `wall_s` ends; zone-signing keys that are older than the policy lets them become are
    rolled. `times` are by zone; zones without stay as they are."""
    how = _signing(intent.policy)
    changed = {}
    for zone, keys in signed_zones(intent).items():
        if zone in times:
            stepped = rollover.step(keys, wall_s, times[zone])
            if _is_old(stepped, how[zone], wall_s):
                stepped = rollover.roll(stepped, _fresh(make, zone, "zsk", keys[0].algorithm, keys), wall_s)
            changed[zone] = stepped
    return _with_keys(intent, changed)


def restart(intent: Intent, wall_s: float) -> Intent:
    """All waits from the beginning, because a nameserver was behind until now."""
    return _with_keys(intent, {zone: rollover.restart(keys, wall_s) for zone, keys in signed_zones(intent).items()})


def reseal(intent: Intent, again: Callable[[str, ZoneKey], ZoneKey]) -> Intent:
    """Every key, also of zones that are not signed now, as `again` seals it."""
    return _with_keys(
        intent,
        {
            zone: tuple(key.model_copy(update={"private": again(zone, zone_key(key)).private}) for key in keys)
            for zone, keys in intent.overrides.keys.items()
        },
    )


def _signing(policy: Policy) -> Mapping[str, Dnssec | None]:
    return {zone.name.removesuffix("."): zone.signing for _, zone in all_zones(policy)}


def _keys_of(intent: Intent, zone: str) -> tuple[str, tuple[Key, ...]]:
    zone = zone.lower().removesuffix(".")
    require_known("zone", zone, _signing(intent.policy))
    signed = signed_zones(intent)
    if zone not in signed:
        raise RefusedError("not-signed", f"{zone} is not signed", "write dnssec: true in its zone of the policy")
    return zone, signed[zone]


def _is_old(keys: Sequence[Key], how: Dnssec | None, wall_s: float) -> bool:
    zsks = [key for key in keys if key.role == "zsk"]
    lifetime_s = how.zsk_lifetime if how else None
    return lifetime_s is not None and len(zsks) == 1 and zsks[0].since_s + lifetime_s <= wall_s


def _fresh(make: Maker, zone: str, role: Role, algorithm: int, others: Iterable[Key]) -> Key:
    """A new key whose tag is none of the others': resolvers may give up on a zone whose keys share one."""
    taken = {key_tag(dnskey_rdata(zone_key(other))) for other in others}
    made = make(zone, role, algorithm)
    while key_tag(dnskey_rdata(made)) in taken:
        made = make(zone, role, algorithm)
    fields = {name: getattr(made, name) for name in ("role", "algorithm", "public", "private")}
    return Key.model_validate({**fields, "state": "active", "since_s": 0.0})


def _with_keys(intent: Intent, changed: Mapping[str, tuple[Key, ...]]) -> Intent:
    overrides = intent.overrides
    keys = {**overrides.keys, **changed}
    if keys == overrides.keys:
        return intent
    new = overrides.model_copy(update={"version": overrides.version + 1, "keys": keys})
    return intent.model_copy(update={"overrides": new})
