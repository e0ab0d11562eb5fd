"""Rosters over a real node endpoint: who the others are is kept, only ever replaced by a newer one, and read anew."""

import pytest

from gslb.control.installation.rosters import here, roster_for, roster_of
from gslb.control.protocol import Peer, Roster, RosterHeld
from gslb.roles.keeping.roster import RosterHolder
from tests.unit.roles.node_process import process


def peer(name="edge-dc", **more):
    return {"name": name, "role": "edge", "site": "dc", "address": f"unix:/run/{name}.sock", **more}


async def test_a_roster_is_held_told_in_the_state_and_kept_over_a_restart(tmp_path):
    async with process(tmp_path) as it:
        heard = []
        it.node.rosters.follow(heard.append)
        assert heard == [Roster()]
        status, held = await it.ask("PUT", "/roster", number=3, peers=[peer()])
        assert (status, held["number"]) == (200, 3)
        assert [item.number for item in heard] == [0, 3]
        assert (await it.state()).roster == RosterHeld(number=3, digest=heard[-1].digest)
    async with process(tmp_path) as it:
        assert it.node.rosters.roster == heard[-1]


@pytest.mark.parametrize("number", [0, 2, 3])
async def test_an_older_roster_or_another_of_the_same_number_is_refused(tmp_path, number):
    async with process(tmp_path) as it:
        await it.ask("PUT", "/roster", number=3, peers=[peer()])
        status, answer = await it.ask("PUT", "/roster", number=number, peers=[peer("edge-aws")])
        assert status == 409
        assert "not newer" in answer["reasons"][0]
        assert [item.name for item in it.node.rosters.roster.peers] == ["edge-dc"]


async def test_the_same_roster_again_is_no_news(tmp_path):
    async with process(tmp_path) as it:
        heard = []
        it.node.rosters.follow(heard.append)
        for _ in range(2):
            assert (await it.ask("PUT", "/roster", number=3, peers=[peer()]))[0] == 200
        assert len(heard) == 2


@pytest.mark.parametrize("body", [{"peers": [peer(role="king")]}, {"number": -1}, {"peers": [{"name": "x"}]}])
async def test_what_is_no_roster_is_refused(tmp_path, body):
    async with process(tmp_path) as it:
        assert (await it.ask("PUT", "/roster", **body))[0] == 409
        assert it.node.rosters.roster == Roster()


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b'{"number": "x"}', b"x" * 3_000_000])
def test_what_does_not_read_on_disk_is_as_good_as_none(tmp_path, octets):
    (tmp_path / "roster.json").write_bytes(octets)
    assert RosterHolder(tmp_path).roster == Roster()


def test_a_node_is_handed_what_it_does_not_hold_under_a_higher_number(tmp_path):
    peers = here({"edge-dc": tmp_path / "edge-dc.sock", "dns": tmp_path / "dns.sock"})
    assert [(item.name, item.role, item.site) for item in peers] == [("edge-dc", "edge", "dc"), ("dns", "dns", None)]
    roster = roster_for(roster_of(peers), RosterHeld(number=7, digest="other"))
    assert roster.number == 8
    assert roster_for(roster_of(reversed(peers)), RosterHeld(number=8, digest=roster.digest)) is None
    assert roster_for(roster_of(peers[:1]), RosterHeld(number=8, digest=roster.digest)).number == 9


def test_the_digest_is_of_the_peers_whatever_their_order_and_number():
    one, two = Peer(**peer()), Peer(**peer("edge-aws"))
    assert Roster(number=1, peers=(one, two)).digest == Roster(number=2, peers=(two, one)).digest
    assert Roster(peers=(one,)).digest != Roster(peers=(two,)).digest
