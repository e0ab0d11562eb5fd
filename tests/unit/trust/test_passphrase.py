"""Files under a passphrase: what opens them, what does not, and what a header may ask for."""

from __future__ import annotations

import pytest

from gslb.errors import RefusedError
from gslb.trust.passphrase import FRESH_BYTES, HEADER_BYTES, open_file, seal_file

MARK, PHRASE, FRESH = b"gslbTEST", "correct horse battery", bytes(range(FRESH_BYTES))


@pytest.fixture(scope="module")
def sealed():
    return seal_file(MARK, PHRASE, b"the octets", FRESH)


def refused(rule, *given):
    with pytest.raises(RefusedError) as caught:
        open_file(*given, "file.bak")
    assert caught.value.rule == rule
    return str(caught.value)


def test_what_is_sealed_opens_with_its_passphrase_alone(sealed):
    assert open_file(MARK, PHRASE, sealed, "file.bak") == b"the octets"
    assert b"octets" not in sealed
    assert "another passphrase" in refused("passphrase", MARK, PHRASE + "x", sealed)
    assert sealed != seal_file(MARK, PHRASE, b"the octets", bytes(FRESH_BYTES))


def test_every_octet_of_the_file_counts(sealed):
    for place in range(0, len(sealed), 17):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(RefusedError):
            open_file(MARK, PHRASE, bytes(changed), "file.bak")


def test_other_files_are_told_apart(sealed):
    refused("file-kind", b"gslbELSE", PHRASE, sealed)
    refused("file-kind", MARK, PHRASE, b"")
    refused("file-kind", MARK, PHRASE, sealed[: HEADER_BYTES + 15])
    refused("passphrase", MARK, PHRASE, sealed[:-1])


@pytest.mark.parametrize(
    "work", [(2, 17, 8, 1), (1, 31, 8, 1), (1, 20, 255, 1), (1, 17, 0, 1), (1, 17, 8, 9), (1, 1, 8, 1)]
)
def test_a_header_cannot_ask_for_the_whole_memory(sealed, work):
    refused("file-kind", MARK, PHRASE, MARK + bytes(work) + sealed[12:])


def test_a_short_passphrase_is_refused():
    with pytest.raises(RefusedError, match="fewer than 12"):
        seal_file(MARK, "hunter2", b"x", FRESH)
