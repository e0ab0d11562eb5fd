"""Nobody's word is taken but control's: on the way to a node, on its disk, and in the store."""

from __future__ import annotations

import json

import pytest
import structlog.testing

from gslb.control.changes import drain, require
from gslb.control.protocol import Offer
from gslb.errors import HostError, RefusedError
from gslb.roles.keeping.generation_files import GenerationFiles
from gslb.roles.keeping.generations import Record, looked, took
from gslb.roles.keeping.offers import applied_of
from gslb.roles.publishing.signing import Signing
from gslb.snapshot import compile_snapshot
from gslb.snapshot.bundle import Bundle
from gslb.trust.bundles import signed, verified_by
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import Signer, Signers, public_of
from tests.support.trust import KEY, STRANGER, bundle, offer, trust_in
from tests.unit.control.world import NOW_S, a_drain, intent
from tests.unit.roles.node_process import good, process
from tests.unit.roles.publishing.test_publish import AUDIT, world

BELIEVED = Signers(signers=(Signer.of(public_of(KEY), "here"),))


def numbered(number):
    return intent().model_copy(update={"revision": number})


def tampered(wanted):
    made = offer(wanted, NOW_S)
    forged = made.bundle.model_copy(update={"policy": made.bundle.policy.replace('"test"', '"evil"')})
    assert forged != made.bundle
    return Offer(bundle=forged, wall_s=NOW_S)


UNBELIEVED = [
    (Offer(bundle=Bundle.of(numbered(2)), wall_s=NOW_S), "unsigned"),
    (offer(numbered(2), NOW_S, STRANGER), "unknown-signer"),
    (tampered(numbered(2)), "bad-signature"),
]


# On the way ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/prepare", "/publish"])
@pytest.mark.parametrize(("made", "rule"), UNBELIEVED)
async def test_a_node_takes_nothing_that_is_not_signed(tmp_path, path, made, rule):
    async with process(tmp_path) as it:
        await it.publish(1)
        answer = await it.client.offer(path, made, 5)
        assert f"[{rule}]" in answer.reasons[0]
        assert it.version == "1.0"
        await it.publish(2)
        assert it.version == "2.0", "what was refused counts for nothing"


async def test_a_signer_that_is_added_is_believed_at_once(tmp_path):
    async with process(tmp_path) as it:
        made = offer(numbered(1), NOW_S, STRANGER)
        assert "unknown-signer" in (await it.client.offer("/publish", made, 5)).reasons[0]
        trust = TrustFolder(tmp_path / "trust")
        trust.change(lambda known: known.with_signer(Signer.of(public_of(STRANGER), "the other control")))
        await it.client.offer("/publish", made, 5)
        assert it.version == "1.0"


@pytest.mark.parametrize("content", ["", "{", "{}", '{"signers": [{"id": "x", "public": "AAAA"}]}'])
async def test_a_file_of_signers_that_does_not_read_leaves_those_who_were_believed(tmp_path, content):
    async with process(tmp_path) as it:
        await it.publish(1)
        (tmp_path / "trust" / "signers.json").write_text(content)
        if content != "{}":
            await it.publish(2)
            assert it.version == "2.0"
        answer = await it.client.offer("/publish", offer(numbered(3), NOW_S, STRANGER), 5)
        assert "unknown-signer" in answer.reasons[0]


async def test_a_file_of_signers_that_others_could_write_to_is_not_believed(tmp_path):
    async with process(tmp_path, resumes=False) as it:
        (tmp_path / "trust" / "signers.json").chmod(0o666)
        answer = await it.publish(1)
        assert "others may write" in answer.reasons[0]


# On disk ------------------------------------------------------------------------------------------------------------


def keep(folder, *offers):
    """Generations, oldest first, as if they had been good."""
    files, record = GenerationFiles(folder), Record()
    for number, made in enumerate(offers):
        applied = applied_of(compile_snapshot(made.bundle.intent(), NOW_S))
        record = took(record, files.add(made.model_dump_json().encode(), applied, NOW_S), 100.0 * number)
        record = looked(record, 100.0 * number + 50)
    files.save(record)


async def test_of_what_is_on_disk_the_newest_that_is_believed_is_served(tmp_path):
    keep(tmp_path, offer(numbered(1), NOW_S), offer(numbered(2), NOW_S, STRANGER))
    with structlog.testing.capture_logs() as lines:
        async with process(tmp_path) as it:
            assert it.version == "1.0"
            assert "older" in (await it.publish(1, drain(intent(), a_drain("dc")))).reasons[0]
            await it.publish(3)
            assert it.version == "3.0"
    assert [line["version"] for line in lines if "not believed" in line["event"]] == ["2.0"]


async def test_where_nobody_is_believed_any_more_the_newest_is_served_loudly(tmp_path, clocks):
    await good(tmp_path, clocks, 1, 2)
    async with process(tmp_path, resumes=False) as it:
        TrustFolder(tmp_path / "trust").change(lambda _: Signers())
        with structlog.testing.capture_logs() as lines:
            await it.node.resume()
        assert it.version == "2.0", "no answers would be worse"
        assert any("nothing on disk is believed" in line["event"] for line in lines)
        assert "unknown-signer" in (await it.publish(3)).reasons[0]


async def test_what_was_changed_on_disk_is_never_served(tmp_path):
    keep(tmp_path, tampered(numbered(1)))
    async with process(tmp_path) as it:
        assert it.version is None
        await it.publish(1)
        assert it.version == "1.0"


# In the store -------------------------------------------------------------------------------------------------------


async def test_whatever_control_publishes_is_signed_in_the_store_and_at_the_nodes(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        await it.shift(30)
        it.roles["dns"].refuses_publish = True
        with pytest.raises(RefusedError):
            await it.shift(40)
        stored = it.store.read()
        assert stored.overrides_version == 3, "putting back is a change, too"
        assert verified_by(stored, BELIEVED)
        kept = [json.loads(path.read_bytes()) for path in (tmp_path / "dns" / "generations").glob("1.*.json")]
        assert kept
        assert all(verified_by(Bundle.model_validate(content["bundle"]), BELIEVED) for content in kept)


@pytest.mark.parametrize(("made", "rule"), UNBELIEVED)
async def test_what_others_wrote_to_a_shared_store_is_not_used(tmp_path, made, rule):
    async with world(tmp_path) as it:
        await it.begin()
        it.publisher._signing = Signing(trust_in(tmp_path), own_file=False)
        it.store.write(it.publisher.current()[1].version, made.bundle, AUDIT)
        log = list(it.log)
        for ask in (it.publisher.load(), it.shift(30)):
            with pytest.raises(RefusedError, match=r"version 2\.0 in the store") as caught:
                await ask
            assert caught.value.rule == rule
            assert "gslb trust adopt" in caught.value.remedy
        assert (it.log, str(it.publisher.current()[1].version)) == (log, "1.0")


@pytest.mark.parametrize(
    ("made", "rule"), [(Offer(bundle=Bundle.of(intent()), wall_s=0), "unsigned"), (offer(intent(), 0, STRANGER), "")]
)
async def test_in_the_file_of_one_machine_it_is_taken_and_signed(tmp_path, made, rule):
    async with world(tmp_path) as it:
        it.store.write(None, made.bundle, AUDIT)
        await it.publisher.reach_all(5)
        with structlog.testing.capture_logs() as lines:
            assert await it.publisher.load()
        assert "the store is signed anew" in [line["event"] for line in lines]
        assert str(it.roles["dns"].snapshot.version) == "1.0"
        await it.publisher.change(lambda found: drain(require(found), a_drain("dc")), AUDIT)
        assert verified_by(it.store.read(), BELIEVED)


async def test_what_was_changed_in_the_file_of_one_machine_is_not_used(tmp_path):
    async with world(tmp_path) as it:
        it.store.write(None, tampered(numbered(1)).bundle, AUDIT)
        with pytest.raises(RefusedError, match="bad-signature"):
            await it.publisher.load()
        assert it.log == []


async def test_a_policy_that_an_older_gslb_wrote_keeps_its_words(tmp_path):
    """It knew fewer fields. Its revision is signed and stored for good, and overrides change on it all the same."""
    content = json.loads(intent().policy.model_dump_json())
    assert not content.pop("latency")
    older = signed(Bundle.of(intent()).model_copy(update={"policy": json.dumps(content)}), KEY)
    async with world(tmp_path) as it:
        it.store.write(None, older, AUDIT)
        await it.publisher.reach_all(5)
        await it.publisher.load()
        await it.publisher.change(lambda found: drain(require(found), a_drain("dc")), AUDIT)
        assert it.store.read().policy == older.policy
        assert str(it.roles["dns"].snapshot.version) == "1.1"


# The folder ---------------------------------------------------------------------------------------------------------


def test_a_control_makes_its_key_once_for_itself_alone(tmp_path):
    trust = TrustFolder(tmp_path / "data" / "trust")
    assert trust.signers() == Signers()
    with pytest.raises(HostError, match=r"signing.key is missing"):
        trust.signed(bundle(intent()))
    trust.make("berlin")
    (signer,) = trust.signers().signers
    assert (signer.name, signer.kind) == ("berlin", "publisher")
    trust.make("munich")
    assert TrustFolder(tmp_path / "data" / "trust").signers().signers == (signer,)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data" / "trust").iterdir()}
    assert modes == {"signing.key": 0o600, "signers.json": 0o600}
    assert (tmp_path / "data" / "trust").stat().st_mode & 0o777 == 0o700
    assert trust.verify(trust.signed(bundle(intent(), STRANGER))) == signer


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("", 0o600, "hex digits"),
        ("00" * 31, 0o600, "hex digits"),
        ("zz" * 32, 0o600, "hex"),
        ("00" * 32, 0o640, "read"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_and_never_replaced(tmp_path, content, mode, why):
    (tmp_path / "signing.key").write_text(content)
    (tmp_path / "signing.key").chmod(mode)
    for ask in (lambda it: it.make("here"), lambda it: it.signed(bundle(intent()))):
        with pytest.raises(HostError, match=why) as caught:
            ask(TrustFolder(tmp_path))
        assert content == "" or content not in str(caught.value)
    assert (tmp_path / "signing.key").read_text() == content
