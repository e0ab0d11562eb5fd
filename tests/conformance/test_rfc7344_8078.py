"""RFC 7344, RFC 8078: what a zone asks of its parent, step by step of a key's life (RFC 7583 section 3.3.2, RFC 6781
section 4.1), read from the sockets of a dns role and validated by dnspython with the DS records alone."""

import dns.asyncquery
import dns.dnssec
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from gslb import clock
from gslb.control import changes
from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.keys_seen import tag_of
from gslb.control.dnskeys.rollover import Times
from gslb.dns.dnssec.making import make_key
from gslb.roles.dns import DnsRole
from gslb.roles.settings import Settings
from gslb.snapshot import compile_snapshot
from tests.unit.control.world import POLICY, intent, policy

ZONE = "gslb.example.com"
APEX = dns.name.from_text(ZONE)
SECRET = bytes(range(32))
DAY_S = 86_400


def maker(zone, role, algorithm):
    return make_key(zone, role, algorithm, SECRET)


class Zone:
    """A signed zone, moved through the states of its keys and served at each."""

    def __init__(self, role, algorithm):
        self.role = role
        self.now_s = clock.wall_s()
        bare = intent().model_copy(update={"policy": policy(apps={})})
        wanted = policy(zone={**POLICY["zone"], "dnssec": {"algorithm": algorithm}}, apps={})
        self.intent = keyring.fit(bare, changes.set_policy(bare, wanted), maker, self.now_s)

    async def serve(self):
        await self.role.publish(compile_snapshot(self.intent, self.now_s))
        return self

    async def roll(self, role):
        self.intent = keyring.begin_roll(self.intent, ZONE, role, maker, self.now_s)
        return await self.serve()

    async def tell(self, event):
        self.intent = keyring.tell(self.intent, ZONE, event, self.now_s)
        return await self.serve()

    async def wait(self, seconds=2 * DAY_S):
        self.now_s += seconds
        self.intent = keyring.advance(self.intent, {ZONE: Times(3600)}, maker, self.now_s)
        return await self.serve()

    async def ask(self, rtype):
        """The records of the apex with what signs them; (None, None) where there are none."""
        ((address, port),) = self.role.responder.addresses()
        reply = await dns.asyncquery.udp(dns.message.make_query(APEX, rtype, want_dnssec=True), address, 10, port)
        found = reply.get_rrset(reply.answer, APEX, 1, dns.rdatatype.from_text(rtype))
        return found, reply.get_rrset(reply.answer, APEX, 1, dns.rdatatype.RRSIG, dns.rdatatype.from_text(rtype))

    async def tags(self, rtype):
        found, _ = await self.ask(rtype)
        return {record.key_tag if rtype == "CDS" else dns.dnssec.key_id(record) for record in found or ()}

    def tag(self, role, state):
        (key,) = [key for key in self.intent.overrides.keys[ZONE] if (key.role, key.state) == (role, state)]
        return tag_of(key)

    async def is_secure(self, ds):
        """Whether somebody who trusts these DS records validates the keys, and with them everything at the apex."""
        dnskeys, seals = await self.ask("DNSKEY")
        trusted = [key for key in dnskeys if dns.dnssec.make_ds(APEX, key, "SHA256") in ds]
        anchors = dns.rrset.from_rdata_list(APEX, 3600, trusted) if trusted else None
        if anchors is None:
            return False
        dns.dnssec.validate(dnskeys, seals, {APEX: anchors})
        for rtype in ("SOA", "NS", "CDS", "CDNSKEY"):
            records, seals = await self.ask(rtype)
            if records is not None:
                dns.dnssec.validate(records, seals, {APEX: dnskeys})
        return True


@pytest.fixture(params=["ecdsa-p256", "ed25519"])
async def zone(request, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET.hex())
    secret.chmod(0o600)
    settings = Settings(runtime=tmp_path, data=tmp_path, dns=(("127.0.7.27", 0),), dnssec_secret=secret)
    role = DnsRole(settings, tmp_path)
    made = await Zone(role, request.param).serve()
    yield made
    await role.responder.close()


async def test_8078_3_nothing_is_asked_for_before_caches_have_forgotten_the_unsigned_zone(zone):
    assert await zone.ask("CDS") == await zone.ask("CDNSKEY") == (None, None)
    assert await zone.tags("DNSKEY") == {zone.tag("ksk", "new"), zone.tag("zsk", "active")}
    await zone.wait()
    assert await zone.tags("CDS") == {zone.tag("ksk", "ready")}


async def test_7344_3_cds_and_cdnskey_name_the_same_keys_in_the_form_of_ds_and_dnskey(zone):
    await zone.wait()
    (cds,), (cdnskey,) = (await zone.ask("CDS"))[0], (await zone.ask("CDNSKEY"))[0]
    (ds,) = await asked_for(zone)
    assert cds.to_wire() == ds.to_wire()
    assert cdnskey.to_wire() in [key.to_wire() for key in (await zone.ask("DNSKEY"))[0]]
    assert await zone.is_secure([ds])


async def test_7344_4_1_what_is_asked_for_is_signed_by_a_key_that_the_parent_points_to(zone):
    await zone.wait()
    await zone.tell("ds-seen")
    await zone.roll("ksk")
    for rtype in ("CDS", "CDNSKEY", "DNSKEY"):
        _, seals = await zone.ask(rtype)
        assert {seal.key_tag for seal in seals} == {zone.tag("ksk", "active")}
    for rtype in ("SOA", "NS"):
        _, seals = await zone.ask(rtype)
        assert {seal.key_tag for seal in seals} == {zone.tag("zsk", "active")}


async def test_7583_3_3_2_a_key_signing_key_is_rolled_by_double_ds(zone):
    await zone.wait()
    await zone.tell("ds-seen")
    old = zone.tag("ksk", "active")
    old_ds = await asked_for(zone)
    await zone.roll("ksk")
    new = zone.tag("ksk", "announced")
    assert (await zone.tags("CDS"), new in await zone.tags("DNSKEY")) == ({old, new}, False)
    assert await zone.is_secure(old_ds)
    both_ds = await asked_for(zone)
    await zone.tell("ds-seen")
    assert await zone.is_secure(old_ds), "caches may still hold the old DS records alone"
    await zone.wait()
    assert (await zone.tags("CDS"), old in await zone.tags("DNSKEY")) == ({old, new}, False)
    assert await zone.is_secure(both_ds)
    await zone.wait()
    assert await zone.tags("CDS") == {new}
    assert await zone.is_secure(both_ds)
    await zone.tell("ds-gone")
    assert await zone.is_secure(await asked_for(zone))
    assert len(zone.intent.overrides.keys[ZONE]) == 2


async def test_7583_3_2_1_a_zone_signing_key_is_published_before_it_signs_and_after(zone):
    await zone.wait()
    ds = await asked_for(zone)
    old = zone.tag("zsk", "active")
    await zone.roll("zsk")
    new = zone.tag("zsk", "published")
    signers = []
    for _ in range(3):
        _, seals = await zone.ask("SOA")
        signers.append(({seal.key_tag for seal in seals}, {old, new} & await zone.tags("DNSKEY")))
        assert await zone.is_secure(ds)
        await zone.wait()
    assert signers == [({old}, {old, new}), ({new}, {old, new}), ({new}, {new})]


async def asked_for(zone):
    """The DS records that CDNSKEY asks for."""
    found, _ = await zone.ask("CDNSKEY")
    wires = [record.to_wire() for record in found]
    dnskeys = [dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, wire, 0, len(wire)) for wire in wires]
    return [dns.dnssec.make_ds(APEX, key, "SHA256") for key in dnskeys]
