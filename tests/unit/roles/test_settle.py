"""Certificates for whatever role processes run on a control's machine, before they start."""

from __future__ import annotations

import pytest
import structlog.testing

from gslb import clock
from gslb.roles.identities.authority_work import Beginning, begin, settle
from gslb.roles.identities.edge_credentials import edge_credentials
from gslb.roles.settings import Settings
from gslb.trust.identity_files import IdentityFolder, MachineFile, read_machine, write_machine
from gslb.trust.private_files import make_folder

DAY_S = 86400.0
ALL = ("control", "dns", "edge")


@pytest.fixture
def machine(tmp_path):
    """One machine, begun without anybody else, with the edges of two sites."""

    def made(roles=ALL, sites=("dc", "aws"), every_site=True, **given):
        wanted = {"api": None, "address": None, "data": make_folder(tmp_path / "data"), **given}
        begin(Beginning("gslb.example.com", "m1", roles, sites, every_site=every_site, **wanted))
        return lambda **run: Settings(
            runtime=tmp_path,
            data=tmp_path / "data",
            **{"roles": roles, "sites": sites, "every_site": every_site, **run},
        )

    return made


def identities(settings):
    return sorted(path.name for path in (settings.trust / "identities").iterdir())


def pair(settings, process):
    return IdentityFolder(settings.trust, process).read()


def test_every_process_of_one_machine_has_its_own(machine):
    settings = machine()()
    assert identities(settings) == ["control", "dns", "edge-aws", "edge-dc"]
    for process in identities(settings):
        assert pair(settings, process).identity.process == process
    assert edge_credentials(settings.trust, "edge-aws").trust_domain == "gslb.example.com"
    before = {process: pair(settings, process).chain for process in identities(settings)}
    settle(settings)
    assert {process: pair(settings, process).chain for process in identities(settings)} == before


def test_sites_and_roles_that_come_later_get_theirs_at_the_next_start(machine):
    made = machine(sites=())
    assert identities(made()) == ["control", "dns"]
    settle(made(sites=("dc", "lab"), roles=(*ALL, "observer")))
    assert identities(made()) == ["control", "dns", "edge-dc", "edge-lab", "observer"]
    settle(made(sites=("dc", "aws")))
    known = read_machine(made().trust)
    assert known.processes == ("dns", "edge-dc", "edge-aws", "observer", "control")
    assert known.every_site


def test_a_choice_of_sites_stays_one(machine):
    made = machine(sites=("dc",), every_site=False)
    settle(made(sites=("dc",)))
    assert read_machine(made().trust).sites == ("dc",)
    assert not read_machine(made().trust).every_site
    settle(made(sites=("aws",)))
    assert read_machine(made().trust).sites == ("dc", "aws")


def test_who_was_off_for_longer_than_certificates_live_starts_with_good_ones(machine, monkeypatch):
    settings, now_s = machine()(), clock.wall_s()
    monkeypatch.setattr(clock, "wall_s", lambda: now_s + 3 * DAY_S)
    settle(settings)
    assert all(pair(settings, process).ends_s > now_s + 3 * DAY_S for process in identities(settings))


@pytest.mark.parametrize(
    ("given", "api", "address"),
    [
        ({"api": ("127.0.0.1", 8053)}, None, None),
        ({"api": ("0.0.0.0", 8053), "node": ("::", 8900)}, None, None),
        ({"api": ("192.0.2.4", 8053), "node": ("192.0.2.4", 8900)}, "https://192.0.2.4:8053", ("192.0.2.4", 8900)),
        ({"api": ("2001:db8::4", 8053)}, "https://[2001:db8::4]:8053", None),
        ({"api": ("localhost", 8053), "node": ("node.example", 8900)}, None, ("node.example", 8900)),
    ],
)
def test_one_machine_becomes_the_first_of_several_by_being_reachable(machine, given, api, address):
    made = machine()
    before = pair(made(), "control").chain
    settle(made(**given))
    known = read_machine(made().trust)
    assert (known.api, known.address) == (api, address)
    assert (pair(made(), "control").chain != before) == (api is not None or address is not None)
    if api:
        assert given["api"][0].replace("2001:db8::4", "2001:db8:") in str(pair(made(), "control").chain[0].extensions)


def test_machines_without_authority_are_left_alone(machine, tmp_path):
    joined = Settings(runtime=tmp_path, data=tmp_path / "m2", roles=ALL, sites=("dc",))
    settle(joined)
    assert not joined.trust.exists()
    make_folder(joined.data)
    make_folder(joined.trust)
    known = MachineFile(machine="m2", domain="x.example", roles=("dns",))
    write_machine(joined.trust, known)
    settle(joined)
    settle(machine()(roles=("dns",)))
    assert read_machine(joined.trust) == known


def test_an_issuer_that_has_ended_keeps_nobody_from_starting(machine, monkeypatch):
    settings, now_s = machine()(), clock.wall_s()
    monkeypatch.setattr(clock, "wall_s", lambda: now_s + 100 * DAY_S)
    with structlog.testing.capture_logs() as lines:
        settle(settings)
    assert "renew-issuer" in lines[0]["remedy"]
