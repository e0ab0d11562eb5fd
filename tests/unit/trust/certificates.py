"""Keys and certificates for tests, at times that the test chooses."""

from __future__ import annotations

import functools

from cryptography.hazmat.primitives.asymmetric import ec

from gslb.trust.authority import IDENTITY_LIFE_S, Subject, make_issuer, make_leaf, make_root
from gslb.trust.spiffe import parse_spiffe

DOMAIN = "gslb.example.com"
NOW_S = 1_790_000_000.0
DAY_S = 86400.0


@functools.cache
def key(number=0):
    return ec.generate_private_key(ec.SECP256R1())


def serial(number=1):
    return number.to_bytes(16)


def root(wall_s=NOW_S, number=0, **given):
    return make_root(key(number), DOMAIN, serial(1), wall_s, **given)


def issuer(wall_s=NOW_S, of=None, number=1):
    return make_issuer(of or root(wall_s), key(number), DOMAIN, serial(2), wall_s)


def leaf(path="m1/dns", wall_s=NOW_S, of=None, number=2, hosts=(), life_s=IDENTITY_LIFE_S):
    subject = Subject.of(parse_spiffe(f"spiffe://{DOMAIN}/{path}"), hosts)
    return make_leaf(of or issuer(wall_s), key(number).public_key(), subject, serial(3), wall_s, life_s)
