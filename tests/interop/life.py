"""Every state of the keys that resolvers meet, as gslb itself goes from one to the next: first signing, a roll of the
zone-signing keys and one of the key-signing keys, of a zone and of a signed one below it at the same time.

The parent points to what the zone announces by its CDS records, but only when it is told to act.
"""

import functools
from typing import NamedTuple

from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.rollover import times_of
from gslb.dns.dnssec.keys import dnskey_rdata, ds_rdata
from gslb.dns.dnssec.making import make_key
from gslb.model.wire_name import from_text
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.interop.zones import APEX, INNER, policy
from tests.support.signed_zone import SECRET

LONG_S = 30 * 86_400
"""Longer than any wait."""
DS_TTL_S = 300


class State(NamedTuple):
    """`keys` are those of `APEX` (ZoneKey), and `ds` those to which its parent points."""

    name: str
    intent: Intent
    keys: tuple
    ds: tuple


@functools.cache
def states():
    """In order. From one to the next, every cache has had the time to forget the last but one."""
    walk = _Walk()
    walk.note("unsigned")
    walk.sign()
    walk.note("signed")
    walk.wait()
    walk.note("announced")
    walk.parent_acts("secure")
    walk.roll("zsk")
    walk.note("zsk published")
    walk.wait()
    walk.note("zsk active")
    walk.wait()
    walk.note("zsk gone")
    walk.roll("ksk")
    walk.note("ksk announced")
    walk.parent_acts("ksk at the parent")
    walk.wait()
    walk.note("ksk active")
    walk.wait()
    walk.note("ksk withdrawn")
    walk.parent_acts("ksk gone")
    assert all(len(keys) == 2 for keys in walk.intent.overrides.keys.values())
    return tuple(walk.noted)


def by_name(name):
    return next(state for state in states() if state.name == name)


class _Walk:
    def __init__(self):
        self.intent = Intent(revision=7, policy=policy(signed=False))
        self.ds, self.now_s, self.noted = (), 0.0, []

    def note(self, name):
        self.noted.append(State(name, self.intent, self._zones()[APEX].keys, self.ds))

    def sign(self):
        after = self.intent.model_copy(update={"policy": policy(signed=True), "revision": 8})
        self.intent = keyring.fit(self.intent, after, _make, self.now_s)

    def roll(self, role):
        for name in (APEX, INNER):
            self.intent = keyring.begin_roll(self.intent, name, role, _make, self.now_s)

    def wait(self):
        self.now_s += LONG_S
        made = compile_snapshot(self.intent, self.now_s)
        times = {name: times_of(made, zone) for name, zone in self._zones().items()}
        self.intent = keyring.advance(self.intent, times, _make, self.now_s)

    def parent_acts(self, name):
        """It does what is asked of it, and is seen to have done so; the zone below has its parent here."""
        announced = {name: [key for key in zone.keys if key.announced] for name, zone in self._zones().items()}
        self.ds = tuple(announced[APEX])
        self.note(name)
        for zone, keys in announced.items():
            records = [ds_rdata(from_text(zone), dnskey_rdata(key)) for key in keys]
            self.intent = keyring.observe(self.intent, zone, records, records, (self.now_s, DS_TTL_S))

    def _zones(self):
        made = compile_snapshot(self.intent, self.now_s)
        return {zone.name: zone for zone in (made.zone, *made.zones)}


def _make(zone, role, algorithm):
    return make_key(zone, role, algorithm, SECRET)
