from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.control import tokens
from gslb.control.tokens import LIMIT, create, find, hash_of, revoke, secret_of, tokens_seen
from gslb.errors import PolicyError, RefusedError
from gslb.snapshot.intent import Intent, Token
from tests.unit.control.world import NOW_S, by, intent

SECRET = secret_of(bytes(range(32)))


def token(name="ann", secret=SECRET, role="operator", apps=(), **given):
    return Token(name=name, hash=hash_of(secret), role=role, apps=apps, by=by(**given))


@given(one=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32))
def test_a_secret_holds_all_of_its_octets(one, other):
    assert (secret_of(one) == secret_of(other)) == (one == other)
    assert len(secret_of(one)) == 48
    assert secret_of(one).startswith("gslb_")
    assert secret_of(one).removeprefix("gslb_").isalnum()


def test_the_ends_of_base_62():
    assert secret_of(bytes(32)) == "gslb_" + "0" * 43
    assert secret_of(bytes(31) + b"\x3e") == "gslb_" + "0" * 41 + "10"
    assert len(secret_of(b"\xff" * 32)) == 48


def test_who_shows_the_secret_is_found():
    made = create(intent(), token(), NOW_S)
    assert made.overrides.version == intent().overrides.version + 1
    assert find(made, SECRET, NOW_S).name == "ann"
    assert find(made, secret_of(bytes(32)), NOW_S) is None
    for wrong in ("", "gslb_", SECRET + "0", SECRET[:-1], f" {SECRET}", SECRET + "\n", hash_of(SECRET), "ö"):
        assert find(made, wrong, NOW_S) is None
    assert find(None, SECRET, NOW_S) is None


def test_what_is_kept_and_shown_holds_no_secret():
    made = create(intent(), token(), NOW_S)
    shown = json.dumps(tokens_seen(made, NOW_S))
    for text in (made.model_dump_json(), shown, repr(made)):
        assert SECRET not in text
    assert hash_of(SECRET) not in shown
    assert hash_of(SECRET) not in repr(made)
    assert Intent.model_validate_json(made.model_dump_json()) == made


def test_a_token_ends_with_its_time():
    made = create(intent(), token(expires_s=NOW_S + 60), NOW_S)
    assert find(made, SECRET, NOW_S + 59.9) is not None
    assert find(made, SECRET, NOW_S + 60) is None
    assert [item["expired"] for item in tokens_seen(made, NOW_S + 60)] == [True]
    again = create(made, token(role="viewer"), NOW_S + 60)
    assert [(item["role"], item["expires"]) for item in tokens_seen(again, NOW_S + 60)] == [("viewer", None)]


def test_a_revoked_token_is_refused_at_once():
    made = create(create(intent(), token("bob", secret_of(bytes(32))), NOW_S), token(), NOW_S)
    after = revoke(made, "ann")
    assert find(after, SECRET, NOW_S) is None
    assert [item["name"] for item in tokens_seen(after, NOW_S)] == ["bob"]
    with pytest.raises(PolicyError, match="did you mean bob"):
        revoke(after, "bobb")


def test_a_name_is_taken_once():
    made = create(intent(), token(), NOW_S)
    with pytest.raises(RefusedError) as caught:
        create(made, token(secret=secret_of(bytes(32))), NOW_S)
    assert caught.value.rule == "token-exists"
    assert "gslb token revoke ann" in caught.value.remedy


def test_apps_must_be_there():
    assert create(intent(), token(apps=("shop",)), NOW_S).overrides.tokens[0].apps == ("shop",)
    with pytest.raises(PolicyError, match="there is no app 'shpo'"):
        create(intent(), token(apps=("shpo",)), NOW_S)


def test_there_is_an_end_to_tokens(monkeypatch):
    monkeypatch.setattr(tokens, "LIMIT", 2)
    made = create(create(intent(), token("a"), NOW_S), token("b", expires_s=NOW_S + 1), NOW_S)
    with pytest.raises(RefusedError) as caught:
        create(made, token("c"), NOW_S)
    assert caught.value.rule == "too-many-tokens"
    assert len(create(made, token("c"), NOW_S + 1).overrides.tokens) == 2
    assert LIMIT == 256
