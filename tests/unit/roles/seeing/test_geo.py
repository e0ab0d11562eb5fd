"""A database of places in MaxMind's format: read, asked about one client, replaced while DNS answers."""

import asyncio
import ipaddress

import dns.asyncquery
import dns.edns
import dns.message
import pytest
import structlog.testing
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from gslb.errors import HostError
from gslb.roles.dns import DnsRole
from gslb.roles.seeing.geo import GeoFile
from gslb.roles.settings import Settings
from gslb.snapshot.networks import NetworkMap, Place
from tests.unit.dns.policies import APEX, app, snapshot, weighted

HOST = "127.0.7.29"
BERLIN = {
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "continent": {"code": "EU"},
    "location": {"latitude": 52.5, "longitude": 13.4, "time_zone": "Europe/Berlin"},
}
NEW_YORK = {
    "country": {"iso_code": "US"},
    "continent": {"code": "NA"},
    "location": {"latitude": 40.7, "longitude": -74},
}
PLACES = {"10.1.0.0/16": BERLIN, "10.2.0.0/16": NEW_YORK, "2001:db8:a::/48": BERLIN}


def ip(text):
    return ipaddress.ip_address(text)


def write(path, places, version=6):
    """As an updater does it: whole, by renaming."""
    writer = MMDBWriter(version, "Test", description="test", ipv4_compatible=version == 6)
    for network, record in places.items():
        writer.insert_network(IPSet([network]), record)
    fresh = path.with_suffix(".new")
    writer.to_db_file(str(fresh))
    fresh.replace(path)
    return path


def test_without_a_file_there_is_no_database():
    assert GeoFile(None).read() is GeoFile(None).ask(ip("192.0.2.1")) is None
    assert not GeoFile(None).has_changed()


@pytest.mark.parametrize("version", [4, 6])
def test_every_network_of_both_families_is_read(tmp_path, version):
    places = {n: r for n, r in PLACES.items() if version == 6 or ":" not in n}
    found = GeoFile(write(tmp_path / "city.mmdb", places, version)).read()
    assert found.find(ip("10.1.2.3")) == (Place("DE", "EU", 52.5, 13.4), 16)
    assert found.find(ip("10.2.2.3")) == (Place("US", "NA", 40.7, -74.0), 16)
    assert found.find(ip("10.3.2.3"))[0] is None
    assert found.find(ip("2001:db8:a::1"))[0] == (Place("DE", "EU", 52.5, 13.4) if version == 6 else None)


@pytest.mark.parametrize("client", ["10.1.2.3", "10.2.255.255", "10.3.0.0", "192.0.2.1", "2001:db8:a::1", "2001:db8::"])
@pytest.mark.parametrize("version", [4, 6])
def test_asking_about_one_client_says_what_reading_all_says(tmp_path, client, version):
    places = {n: r for n, r in PLACES.items() if version == 6 or ":" not in n}
    file = GeoFile(write(tmp_path / "city.mmdb", places, version))
    assert file.ask(ip(client)).find(ip(client))[0] == file.read().find(ip(client))[0]
    if client == "10.1.2.3":
        assert file.ask(ip(client)).find(ip(client))[1] == 16
    assert file.ask(None) == NetworkMap()


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country": {"iso_code": "DE"}}, Place("DE")),
        ({"continent": {"code": "EU"}}, Place(None, "EU")),
        ({"country": {"iso_code": "DE"}, "location": {"latitude": 1.5}}, Place("DE")),
        ({"location": {"latitude": 1.5, "longitude": 2.5}}, Place(None, None, 1.5, 2.5)),
        ({"country": "DE"}, None),
        ({"country": {"iso_code": 4}, "location": {"latitude": "n", "longitude": "e"}}, None),
        ({"traits": {}}, None),
        ("text", None),
    ],
)
def test_what_does_not_help_is_left(tmp_path, record, place):
    file = GeoFile(write(tmp_path / "odd.mmdb", {"10.0.0.0/8": record}))
    assert file.read().find(ip("10.0.0.1"))[0] == file.ask(ip("10.0.0.1")).find(ip("10.0.0.1"))[0] == place


def test_a_file_that_is_none_is_the_operators_to_correct(tmp_path):
    (tmp_path / "text.mmdb").write_text("no database")
    for name, reason in (("text.mmdb", "Error opening database"), ("missing.mmdb", "No such file")):
        for attempt in (GeoFile(tmp_path / name).read, lambda name=name: GeoFile(tmp_path / name).ask(ip("192.0.2.1"))):
            with pytest.raises(HostError, match=reason) as told:
                attempt()
            assert "--geo FILE" in told.value.remedy


def test_a_database_whose_records_are_damaged_is_refused_too(tmp_path):
    path = write(tmp_path / "city.mmdb", PLACES)
    data = path.read_bytes()
    start = data.index(bytes(16)) + 16  # what separates the tree from the records
    path.write_bytes(data[:start] + b"\xff" * 40 + data[start + 40 :])
    for attempt in (GeoFile(path).read, lambda: GeoFile(path).ask(ip("10.1.0.1"))):
        with pytest.raises(HostError, match="cannot read the database of places"):
            attempt()


def test_a_file_is_new_once_and_one_that_is_gone_is_not(tmp_path):
    file = GeoFile(write(tmp_path / "city.mmdb", PLACES))
    assert file.has_changed()
    file.read()
    assert not file.has_changed()
    write(tmp_path / "city.mmdb", {"10.1.0.0/16": NEW_YORK})
    assert file.has_changed()
    (tmp_path / "city.mmdb").unlink()
    assert not file.has_changed()


def near():
    sites = {
        "dc": {"edges": [{"public": ["192.0.2.10"]}], "location": {"lat": 50.1, "lon": 8.7}},
        "aws": {"edges": [{"public": ["198.51.100.20"]}], "location": {"lat": 38.9, "lon": -77.4}},
    }
    return snapshot({"shop": app("geo", weighted(dc=1, aws=1))}, sites=sites)


async def answers(role, *clients):
    """The address that each client is told, by its subnet option."""
    told = []
    for client in clients:
        options = [dns.edns.ECSOption(client, 24)]
        query = dns.message.make_query(f"shop.{APEX}", "A", use_edns=0, options=options)
        host, port = role.responder.addresses()[0]
        reply = await dns.asyncquery.udp(query, host, 10, port)
        told.append((reply.answer[0][0].to_text(), reply.options[0].scopelen))
    return told


async def test_dns_follows_a_database_that_is_replaced_and_keeps_one_that_turns_bad(tmp_path):
    path = write(tmp_path / "city.mmdb", PLACES)
    role = DnsRole(Settings(runtime=tmp_path, data=tmp_path, dns=((HOST, 0),), geo=path), tmp_path)
    await role.publish(near())
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(role.follow_geo())
        try:
            assert await answers(role, "10.1.2.0", "10.2.2.0") == [("192.0.2.10", 16), ("198.51.100.20", 16)]
            write(path, {"10.1.0.0/16": NEW_YORK, "10.2.0.0/17": BERLIN})
            with structlog.testing.capture_logs() as logs:
                while not logs:
                    await asyncio.sleep(0.05)
                assert [log["event"] for log in logs] == ["another database of places is in use"]
                assert await answers(role, "10.1.2.0", "10.2.2.0") == [("198.51.100.20", 16), ("192.0.2.10", 17)]
                path.write_text("half a download")
                while len(logs) < 2:
                    await asyncio.sleep(0.05)
                assert logs[1]["event"] == "the database of places stays as it was"
            assert await answers(role, "10.1.2.0") == [("198.51.100.20", 16)]
        finally:
            following.cancel()
            await role.responder.close()


def test_a_database_that_was_asked_for_and_is_not_there_ends_the_start(tmp_path):
    with pytest.raises(HostError, match="cannot read the database of places"):
        DnsRole(Settings(runtime=tmp_path, data=tmp_path, geo=tmp_path / "none.mmdb"), tmp_path)
