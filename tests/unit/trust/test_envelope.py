from __future__ import annotations

import pytest

from gslb.errors import RefusedError
from gslb.trust.envelope import open_sealed, seal

OLD, NEW = b"o" * 32, b"n" * 32


def refused(*given):
    with pytest.raises(RefusedError) as caught:
        open_sealed(*given)
    assert caught.value.rule == "sealed"
    return caught.value


@pytest.mark.parametrize("octets", [b"", b"a key", bytes(100_000)])
def test_what_was_sealed_is_opened_with_any_line_that_fits(octets):
    sealed = seal(OLD, "issuer", octets)
    assert open_sealed([OLD], "issuer", sealed) == octets
    assert open_sealed([NEW, OLD], "issuer", sealed) == octets
    assert octets == b"" or octets not in sealed


def test_it_opens_for_nobody_else_and_for_nothing_else():
    sealed = seal(OLD, "issuer", b"a key")
    refused([NEW], "issuer", sealed)
    refused([], "issuer", sealed)
    refused([OLD], "signing", sealed)


def test_no_octet_of_it_may_change():
    sealed = seal(OLD, "issuer", b"a key")
    for place in range(len(sealed)):
        refused([OLD], "issuer", sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])
        refused([OLD], "issuer", sealed[:place])
    refused([OLD], "issuer", sealed + b"\0")


def test_the_same_is_never_sealed_alike():
    assert len({seal(OLD, "issuer", b"a key") for _ in range(20)}) == 20


def test_the_error_does_not_tell_what_was_in_it():
    assert "a key" not in str(refused([NEW], "issuer", seal(OLD, "issuer", b"a key")))
