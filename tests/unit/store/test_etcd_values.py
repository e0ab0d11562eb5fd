from __future__ import annotations

import json
import zlib

import pytest

from gslb.errors import HostError
from gslb.snapshot.types import Version
from gslb.store import AuditEntry
from gslb.store.etcd_values import UNPACKED_LIMIT_BYTES, Change, Head, Row, pack, policy_in, text_in, unpack
from tests.support.trust import bundle
from tests.unit.control.world import intent

AUDIT = AuditEntry(1.5, "ann", "drain", "dc", "rack 4")
BUNDLE = bundle(intent())
ROW = Row.of(BUNDLE.policy, AUDIT)
HEAD = Head.of(BUNDLE, ROW.digest, 7)


def packed(**changed):
    return zlib.compress(json.dumps(HEAD.model_dump(mode="json") | changed).encode())


@pytest.mark.parametrize("value", [HEAD, ROW, Change.of(BUNDLE.version, AUDIT, 7, "t")])
def test_a_value_survives(value):
    assert unpack(type(value), "k", pack(value)) == value


def test_what_a_head_and_a_change_tell():
    assert HEAD.version == Version(1, 0)
    assert HEAD.bundle(text_in(ROW, HEAD.digest, "k")) == BUNDLE
    assert policy_in(ROW, "k") == intent().policy
    record = Change.of(BUNDLE.version, AUDIT, 7, "t").record
    assert (record.number, record.version, record.entry) == (7, Version(1, 0), AUDIT)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "cut short"),
        (b"{}", "incorrect header check"),
        (pack(HEAD)[:-1], "cut short"),
        (pack(HEAD)[:20] + b"\x00" + pack(HEAD)[21:], "Error -3"),
        (pack(HEAD) + b"x", "behind its end"),
        (zlib.compress(b" " * (UNPACKED_LIMIT_BYTES + 1)), "too large"),
        (zlib.compress(b"not JSON"), "validation error"),
        (zlib.compress(b"[]"), "validation error"),
        (pack(ROW), "validation error"),
        (packed(format=0), "validation error"),
        (packed(format="2"), "validation error"),
        (packed(revision=None), "validation error"),
        (packed(more=1), "validation error"),
    ],
)  # fmt: skip
def test_damage_is_told_with_the_name_of_the_key(value, why):
    with pytest.raises(HostError, match=why) as caught:
        unpack(Head, "gslb/intent", value)
    assert caught.value.message.startswith("gslb/intent in etcd cannot be read")
    assert "backup" in caught.value.remedy


def test_what_a_newer_gslb_wrote_is_no_damage():
    with pytest.raises(HostError, match=r"gslb/intent in etcd was written by a newer gslb \(format 3"):
        unpack(Head, "gslb/intent", packed(format=3, more=1))


def test_what_gslb_0_1_wrote_is_unsigned():
    old = {name: value for name, value in HEAD.model_dump(mode="json").items() if not name.startswith("sign")}
    head = unpack(Head, "k", zlib.compress(json.dumps(old | {"format": 1}).encode()))
    assert head.bundle(BUNDLE.policy) == BUNDLE.model_copy(update={"signer": "", "signature": b""})


def test_a_policy_that_is_not_the_one_of_its_digest():
    with pytest.raises(HostError, match="not the policy that was written"):
        text_in(ROW.model_copy(update={"policy": ROW.policy.replace("aws", "gcp")}), ROW.digest, "k")


def test_a_policy_that_this_version_cannot_read():
    future = Row.of('{"from": "the future"}', AUDIT)
    with pytest.raises(HostError, match=r"k in etcd cannot be read: \d+ validation error"):
        policy_in(future, "k")
