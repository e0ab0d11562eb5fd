"""Whom an installation believes: told by several controls, kept by nodes, never an older list, and of nobody else."""

import asyncio
import json

import pytest

from gslb.cli.main import run
from gslb.control.alarms import alarms_now
from gslb.errors import HostError, RefusedError
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.publishing.believing import DOCUMENT, Believing, believing_at, follow_signers
from gslb.roles.publishing.nodes import NodeSet
from gslb.roles.publishing.publish import RolePublisher
from gslb.store.embedded import EmbeddedStore
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signer_list import signed_list
from gslb.trust.signing import Signer, Signers, make_key, public_of
from tests.support.trust import KEY, STRANGER, signing_in, trust_in
from tests.unit.roles.node_process import process

ANN, BOB = make_key(b"a" * 32), make_key(b"b" * 32)
CONTROL = Signer.of(public_of(KEY), "here")


def person(key, name):
    return Signer.of(public_of(key), name, "emergency")


def names(signers):
    return {signer.name for signer in signers.signers}


@pytest.fixture
def store(tmp_path):
    made = EmbeddedStore(tmp_path)
    yield made
    made.close()


class Control:
    def __init__(self, folder, store, key=KEY, *, own_file=False):
        folder.mkdir(exist_ok=True)
        self.trust = trust_in(folder, key)
        self.believing = Believing(self.trust, store, own_file=own_file)

    def believes(self, key, name):
        self.trust.change(lambda known: known.with_signer(person(key, name)))


def test_the_first_control_tells_what_it_believes_and_the_next_takes_it(tmp_path, store):
    one, other = Control(tmp_path / "1", store), Control(tmp_path / "2", store)
    one.believes(ANN, "ann")
    assert one.believing.look().number == 1
    assert one.believing.look().number == 1, "what has not changed is not told again"
    assert other.believing.look() == other.trust.signers() == one.trust.signers()
    one.trust.change(lambda known: known.without(person(ANN, "").id))
    assert one.believing.look().number == 2
    assert names(other.believing.look()) == {"here"}
    assert [record.entry.action for record in store.history(9)] == ["signers"]
    assert "- emergency" in store.history(1)[0].entry.detail


def test_what_two_controls_were_told_at_once_is_both_believed(tmp_path, store):
    """Before either has told anybody, and afterwards."""
    one, other = Control(tmp_path / "1", store), Control(tmp_path / "2", store)
    one.believes(ANN, "ann")
    other.believes(BOB, "bob")
    one.believing.look()
    assert names(other.believing.look()) == {"here", "ann", "bob"}
    assert one.believing.look() == other.trust.signers()

    third, fourth = make_key(b"c" * 32), make_key(b"d" * 32)
    one.believes(third, "cid")
    other.believes(fourth, "dee")
    other.trust.change(lambda known: known.without(person(ANN, "").id))
    one.believing.look()
    other.believing.look()
    assert names(one.believing.look()) == names(other.believing.look()) == {"here", "bob", "cid", "dee"}
    assert one.trust.signers() == other.trust.signers()


def test_a_command_changes_the_list_of_the_installation_whoever_was_faster(tmp_path, store):
    one, other = Control(tmp_path / "1", store), Control(tmp_path / "2", store)
    one.believing.look()
    made = other.believing.change(lambda known: known.with_signer(person(ANN, "ann")))
    assert (made.number, names(one.believing.look())) == (2, {"here", "ann"})
    raced = iter([True])

    def slowly(known):
        if next(raced, False):
            one.believes(BOB, "bob")
            one.believing.look()
        return known.with_signer(person(make_key(b"c" * 32), "cid"))

    assert names(other.believing.change(slowly)) == {"here", "ann", "bob", "cid"}
    assert one.believing.look() == other.trust.signers()
    with pytest.raises(ZeroDivisionError):
        other.believing.change(lambda _: 1 / 0)


def test_what_somebody_wrote_into_the_store_is_not_believed(tmp_path, store):
    one = Control(tmp_path / "1", store)
    one.believing.look()
    before = one.trust.signers()
    forged = before.with_signer(Signer.of(public_of(STRANGER), "me")).model_copy(update={"number": 99})
    for octets in (signed_list(forged, STRANGER), b"{}", b""):
        store.put(DOCUMENT, store.document(DOCUMENT).number, octets)
        with pytest.raises(RefusedError, match="in the store") as refused:
            one.believing.look()
        assert "gslb trust tell" in refused.value.remedy
        assert one.trust.signers() == before
    store.put(DOCUMENT, store.document(DOCUMENT).number, signed_list(forged, STRANGER))
    assert one.believing.replace().number == 100
    assert one.believing.look().signers == before.signers


def test_in_a_file_of_this_machine_what_is_foreign_is_replaced(tmp_path, store):
    one = Control(tmp_path / "1", store, own_file=True)
    store.put(DOCUMENT, 0, signed_list(Signers(number=41), STRANGER))
    assert (one.believing.look().number, names(one.trust.signers())) == (42, {"here"})


def test_a_control_whom_the_others_do_not_believe_tells_them_nothing(tmp_path, store):
    one, other = Control(tmp_path / "1", store), Control(tmp_path / "2", store, STRANGER)
    one.believing.look()
    document = store.document(DOCUMENT)
    with pytest.raises(RefusedError) as refused:
        other.believing.look()
    assert refused.value.rule == "unknown-signer"
    other.trust.change(lambda known: known.with_signer(CONTROL))
    with pytest.raises(RefusedError, match="do not believe the key"):
        other.believing.look()
    assert store.document(DOCUMENT) == document
    one.trust.change(lambda known: known.with_signer(Signer.of(public_of(STRANGER), "two")))
    one.believing.look()
    assert names(other.believing.look()) == {"here", "two"}


def test_a_store_that_was_set_back_gets_a_number_that_no_node_has_seen(tmp_path, store):
    one = Control(tmp_path / "1", store)
    assert one.believing.look(told=7).number == 8
    assert one.believing.look(told=8).number == 8


def test_a_key_replaced_step_by_step_is_followed(tmp_path, store):
    one, other = Control(tmp_path / "1", store), Control(tmp_path / "2", store)
    one.believing.look()
    other.believing.look()
    one.trust.change(lambda known: known.with_signer(Signer.of(public_of(STRANGER), "new")))
    one.believing.look()
    other.believing.look()
    (tmp_path / "1" / "trust" / "signing.key").write_text(STRANGER.private_bytes_raw().hex())
    one.trust.change(lambda known: known.without(CONTROL.id))
    one.believing.look()
    assert names(other.believing.look()) == {"new"}


# Nodes ---------------------------------------------------------------------------------------------------------------


def test_a_machine_takes_newer_lists_only_whoever_of_its_processes_hears_of_them(tmp_path):
    trust, other = trust_in(tmp_path), TrustFolder(tmp_path / "trust")
    second = Signers(number=2, signers=(CONTROL,))
    assert trust.take(second) == other.signers() == other.take(second) == second
    for older in (Signers(number=1, signers=(CONTROL,)), Signers(number=2)):
        with pytest.raises(RefusedError) as refused:
            other.take(older)
        assert refused.value.rule == "older"
    assert TrustFolder(tmp_path / "trust").signers() == second, "also after a restart"
    (tmp_path / "trust" / "signers.json").write_text("{")
    with pytest.raises(HostError):
        trust.signers()
    assert trust.take(second) == trust.signers() == second, "a damaged file is mended"


async def test_every_node_hears_within_seconds_and_tells_what_it_has(tmp_path, store, clocks, monkeypatch):
    monkeypatch.setattr("gslb.roles.publishing.believing.LOOK_S", 0.02)
    one = Control(tmp_path / "1", store)
    (tmp_path / "node").mkdir()
    async with process(tmp_path / "node") as it:
        node = NodeClient("dns", it.socket)
        nodes = NodeSet((node,))
        there = TrustFolder(tmp_path / "node" / "trust")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(nodes.watch()), group.create_task(follow_signers(one.believing, nodes))]

            async def has(wanted):
                async with asyncio.timeout(20):
                    while names(there.signers()) != wanted or node.state is None or node.state.signers < 1:
                        await node.read()
                        await asyncio.sleep(0.02)

            await has({"here"})
            one.believes(ANN, "ann")
            await has({"here", "ann"})
            for task in tasks:
                task.cancel()
        await nodes.close()
        status, told = await it.ask("PUT", "/signers", **json.loads(Signers(number=1).model_dump_json()))
        assert (status, "not newer than" in told["reasons"][0]) == (409, True)
        assert (await it.ask("PUT", "/signers", number="x"))[0] == 409
        assert (await it.state()).signers == there.signers().number


async def test_a_list_of_nobody_is_an_alarm_until_it_is_mended(tmp_path, store, monkeypatch):
    monkeypatch.setattr("gslb.roles.publishing.believing.LOOK_S", 0.02)
    one = Control(tmp_path / "1", store)
    publisher = RolePublisher(store, signing_in(tmp_path / "1"), (), lambda _: None)
    publisher.believing = one.believing

    def told():
        return [(alarm.rule, alarm.severity) for alarm in alarms_now(publisher, 0.0)]

    async def until(wanted):
        async with asyncio.timeout(20):
            while told() != wanted:
                await asyncio.sleep(0.02)

    one.believing.look()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow_signers(one.believing, NodeSet(())))
        await until([])
        store.put(DOCUMENT, store.document(DOCUMENT).number, signed_list(Signers(number=9), STRANGER))
        await until([("signers", "critical")])
        one.believing.replace()
        await until([])
        task.cancel()


# Commands ------------------------------------------------------------------------------------------------------------


def test_commands_find_the_store_of_the_control_here(tmp_path, store):
    assert believing_at(tmp_path / "none") is None
    assert believing_at(tmp_path) is None, "there is a store, and no key of a control"
    trust_in(tmp_path)
    made = believing_at(tmp_path).change(lambda known: known.with_signer(person(ANN, "ann")))
    assert names(Control(tmp_path, store).believing.look()) == names(made) == {"here", "ann"}


def test_the_commands_of_people(tmp_path, store, capsys):
    def gslb(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    assert gslb(f"trust tell --yes --data {tmp_path}")[0] == 1
    one = Control(tmp_path, store)
    store.put(DOCUMENT, 0, signed_list(Signers(number=5), STRANGER))
    code, out, _ = gslb(f"trust tell --yes --data {tmp_path}")
    assert (code, out) == (0, "list 6 of 1 keys is the installation's\n")
    assert json.loads(gslb(f"trust tell --yes --json --data {tmp_path}")[1])["number"] == 7

    public = tmp_path / "ann.pub"
    public.write_text(person(ANN, "ann").model_dump_json())
    code, out, _ = gslb(f"override believe {public} --data {tmp_path}")
    assert (code, "is believed: list 8 of the installation" in out) == (0, True)
    assert names(one.believing.look()) == {"here", "ann"}
    assert "list 8" in gslb(f"trust signers --data {tmp_path}")[1]
    code, out, _ = gslb(f"override forget {person(ANN, '').id} --data {tmp_path}")
    assert (code, "is believed no more: list 9" in out) == (0, True)
    assert [record.entry.action for record in store.history(4)] == ["forget-key", "signers", "believe-key", "signers"]


def test_an_emergency_does_not_wait_for_a_store_that_is_silent(tmp_path, store, capsys, monkeypatch):
    one = Control(tmp_path, store)
    one.believing.look()

    def silent(*_):
        raise HostError("etcd does not answer", "see whether it runs")

    public = tmp_path / "ann.pub"
    public.write_text(person(ANN, "ann").model_dump_json())
    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedStore, "document", silent)
        patched.setattr(EmbeddedStore, "append", silent)
        assert run(["override", "believe", str(public), "--data", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
    assert "on this machine" in out
    assert "when the store answers" in err
    assert (one.believing.look().number, names(one.trust.signers())) == (2, {"here", "ann"})
