"""Joining, renewing, removing, at control's desk, with a real store; time is set by hand."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog.testing
from cryptography import x509

from gslb import clock
from gslb.control.bodies.join_messages import CertificateAnswer, IdentitySeen, JoinAnswer, JoinTokenMade, MachineChange
from gslb.control.http.access import ForbiddenError
from gslb.control.registrar import Asker
from gslb.errors import HostError, RefusedError
from gslb.roles.identities.trust_home import ROOT_KEY, TrustHome, new_key
from gslb.snapshot.intent import Provenance
from gslb.store.embedded import EmbeddedStore
from gslb.trust.authority import (
    ISSUER_LIFE_S,
    certificates_of,
    identity_of,
    key_to_pem,
    lifetime_s,
    require_chain,
    root_hash,
)
from gslb.trust.private_files import write_private
from gslb.trust.spiffe import parse_spiffe
from gslb.trust.state import DOCUMENT, GRACE_S, Operator
from tests.unit.roles.installation import DOMAIN, Installation, octets

DAY_S = 86400.0


@pytest.fixture
def it(tmp_path, clocks):
    made = Installation(tmp_path)
    yield made
    made.close()


def who(path, domain=DOMAIN):
    return Asker(parse_spiffe(f"spiffe://{domain}/{path}"), clock.wall_s())


def refusal(caught):
    return caught.value.rule


# Joining --------------------------------------------------------------------------------------------------------------


async def test_a_machine_joins_in_one_step(it):
    token = await it.token("dns", "edge", sites=("dc",))
    assert token.root_hash == root_hash(it.root.certificate)
    answer = await it.join(token, "m2", "dns", "edge-dc")
    JoinAnswer.model_validate(answer)
    assert (answer["domain"], answer["machine"], answer["roles"], answer["sites"]) == (
        DOMAIN,
        "m2",
        ["dns", "edge"],
        ["dc"],
    )
    assert answer["controls"] == [{"url": "https://127.0.7.1:8053", "spiffe": f"spiffe://{DOMAIN}/m1/control"}]
    assert {name: octets(text) for name, text in answer["files"].items()} == {"dns/cookie.secret": b"cd" * 16}
    for process, pem in answer["certificates"].items():
        chain = certificates_of(pem)
        assert require_chain(chain, certificates_of(answer["roots"]), clock.wall_s()).process == process
        assert "192.0.2.2" in str(chain[0].extensions)
    document = it.store.document("machines/m2")
    machine = json.loads(document.value)
    assert machine["processes"] == {"dns": "https://192.0.2.2:8900", "edge-dc": "https://192.0.2.2:8901"}
    assert (machine["roles"], machine["site"], machine["joined_by"], machine["state"]) == (
        ["dns", "edge"],
        "dc",
        "ann",
        "active",
    )


async def test_a_control_gets_what_only_controls_have(it):
    answer = await it.join(await it.token("control"), "m2", "control", address=None, api="https://192.0.2.2:8053")
    assert set(answer["files"]) == {"trust/installation.secret"}
    assert [control["url"] for control in answer["controls"]] == ["https://127.0.7.1:8053", "https://192.0.2.2:8053"]
    leaf = certificates_of(answer["certificates"]["control"])[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "control.gslb.internal" in names.get_values_for_type(x509.DNSName)


async def test_a_token_is_good_once_also_of_two_at_the_same_time(it):
    token = await it.token("dns")
    await it.join(token)
    with pytest.raises(RefusedError, match="used by the machine m2") as caught:
        await it.join(token, "m3")
    assert refusal(caught) == "join-token-used"
    token = await it.token("dns")
    outcomes = await asyncio.gather(*(it.join(token, f"n{n}") for n in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
    assert {one.rule for one in outcomes if isinstance(one, RefusedError)} == {"join-token-used"}
    assert sum(it.store.document(f"machines/n{n}").value is not None for n in range(8)) == 1


async def test_what_is_refused_leaves_the_token_as_it_was(it, clocks):
    token = await it.token("dns", expires_in_s=60)
    for change, rule in (
        ({"secret": "A" * 43}, "join-token"),
        ({"secret": "!"}, None),
        ({"id": "0" * 16}, "join-token"),
        ({"address": None}, "join-address"),
        ({"api": "https://192.0.2.2:1"}, "join-address"),
        ({"requests": {"dns": "x"}}, "csr"),
        ({"machine": "operator"}, "machine-name"),
        ({"machine": "m1"}, "machine-exists"),
    ):
        with pytest.raises((RefusedError, ValueError)) as caught:
            await it.join(token, **change)
        assert rule is None or refusal(caught) == rule
    with pytest.raises(RefusedError, match="not for dns, edge-dc"):
        await it.join(token, "m2", "dns", "edge-dc")
    clocks(30)
    assert await it.join(token)
    late = await it.token("dns", expires_in_s=60)
    clocks(60)
    with pytest.raises(RefusedError, match="join-token-expired"):
        await it.join(late, "m3")
    assert it.store.document("machines/m3").number == 0


async def test_tokens_are_kept_for_a_week_and_not_without_end(it, clocks, monkeypatch):
    monkeypatch.setattr("gslb.roles.identities.registrar.TICKETS", 2)
    JoinTokenMade.model_validate(await it.registrar.new_token(_wanted()))
    await it.token("dns")
    with pytest.raises(RefusedError, match="too-many-tokens"):
        await it.token("dns")
    clocks(8 * DAY_S)
    await it.token("dns")
    assert len(it.store.documents("joins")) == 1
    it.store.put("joins/damaged", 0, b"x")
    await it.token("dns")
    assert len(it.store.documents("joins")) == 2


def _wanted(**given):
    from gslb.control.bodies.join_messages import JoinTokenRequest

    return JoinTokenRequest(**{"roles": ("dns",), **given})


async def test_secrets_are_in_no_log_and_no_repr(it):
    with structlog.testing.capture_logs() as lines:
        token = await it.token("dns", "control")
        keys = {"dns": new_key(), "control": new_key()}
        answer = await it.join(token, "m2", keys=keys, api="https://192.0.2.2:8053")
    told = repr((lines, token, JoinAnswer.model_validate(answer), it.registrar.state, it.home.signing(it.home.read())))
    assert "m2" in told
    for secret in (token.secret_text, token.secret.hex(), token.hash, *answer["files"].values(), "ab" * 32, "PRIVATE"):
        assert secret not in told


# Renewing -------------------------------------------------------------------------------------------------------------


async def joined(it, process="dns", **given):
    key = new_key()
    answer = await it.join(await it.token(process), "m2", keys={process: key}, **given)
    return answer["certificates"][process], key


async def test_who_shows_its_certificate_gets_the_next_one(it, clocks):
    chain, old = await joined(it)
    clocks(DAY_S / 2)
    key, asker = new_key(), who("m2/dns")
    answer = await it.renew("", old, key, asker)
    CertificateAnswer.model_validate(answer)
    leaf = certificates_of(answer["certificate"])[0]
    assert identity_of(leaf) == asker.spiffe
    assert leaf.public_key() == key.public_key()
    assert lifetime_s(leaf)[1] == pytest.approx(clock.wall_s() + DAY_S, abs=1)
    assert leaf.serial_number != certificates_of(chain)[0].serial_number


async def test_over_the_socket_a_process_of_this_machine_gets_one(it):
    answer = await it.renew("", new_key(), new_key(), local=True, process="dns")
    assert identity_of(certificates_of(answer["certificate"])[0]).uri == f"spiffe://{DOMAIN}/m1/dns"
    with pytest.raises(ForbiddenError):
        await it.renew("", new_key(), new_key(), local=True, process="edge-dc")
    with pytest.raises(RefusedError, match="spiffe-id"):
        await it.renew("", new_key(), new_key(), local=True)


async def test_who_was_off_for_an_issuers_life_and_a_day_comes_back_alone(it, clocks):
    chain, old = await joined(it)
    clocks(ISSUER_LIFE_S + DAY_S)
    with pytest.raises(RefusedError, match="renew-issuer --root-key"):
        await it.renew(chain, old, new_key())
    it.renew_issuer()
    answer = await it.renew(chain, old, new_key())
    fresh = certificates_of(answer["certificate"])
    assert require_chain(fresh, certificates_of(answer["roots"]), clock.wall_s()).uri == f"spiffe://{DOMAIN}/m2/dns"


async def test_what_proves_nothing_gets_nothing(it, clocks):
    chain, old = await joined(it)
    other, foreign = await joined_elsewhere(it)
    clocks(2 * DAY_S)
    for given, key, rule in (
        (chain, new_key(), "certificate-proof"),
        ("", old, "certificate"),
        ("x", old, "certificate"),
        (other, foreign, "chain"),
        (it.home.read().issuers[0].certificate, old, "chain"),
    ):
        with pytest.raises(RefusedError) as caught:
            await it.renew(given, key, new_key())
        assert refusal(caught) == rule
    with pytest.raises(RefusedError, match="certificate-proof"):
        await it.renew(chain, old, new_key(), proof="AAAA")
    with pytest.raises(RefusedError, match="certificate-proof"):
        await it.renew(chain, old, new_key(), proof="not base64!")
    clocks(GRACE_S)
    it.renew_issuer()
    with pytest.raises(RefusedError, match="gslb node token --rejoin m2"):
        await it.renew(chain, old, new_key())


async def joined_elsewhere(it):
    folder = it.data / "elsewhere"
    folder.mkdir()
    another = Installation(folder)
    try:
        return await joined(another)
    finally:
        another.close()


async def test_who_is_removed_gets_no_other_certificate_by_any_way(it, clocks):
    chain, old = await joined(it)
    answer = await it.registrar.remove("m2", "ann", "sold")
    MachineChange.model_validate(answer)
    asker = who("m2/dns")
    for shown in (asker, None):
        with pytest.raises(ForbiddenError) as caught:
            await it.renew(chain, old, new_key(), shown)
        assert refusal(caught) == "machine-removed"
    assert (await it.registrar.remove("m2", "ann", ""))["state"] == "removed"
    for name, rule in (("m1", "machine-own"), ("m9", "unknown-machine")):
        with pytest.raises(RefusedError) as caught:
            await it.registrar.remove(name, "ann", "")
        assert refusal(caught) == rule
    clocks(60)
    key = new_key()
    again = (await it.join(await it.token("dns"), "m2", keys={"dns": key}))["certificates"]["dns"]
    for shown in (asker, None):
        with pytest.raises(ForbiddenError):
            await it.renew(chain, old, new_key(), shown)
    await it.renew(again, key, new_key(), who("m2/dns"))
    await it.renew(again, key, new_key())


async def test_who_let_machines_in_and_who_removed_them_is_in_the_history(it):
    token = await it.token("dns")
    await it.join(token, "m2", "dns")
    await it.registrar.remove("m2", "bob", "sold")
    await it.registrar.remove("m2", "bob", "sold")
    with pytest.raises(RefusedError):
        await it.join(token, "m3", "dns")
    told = [(item.entry.author, item.entry.action, item.entry.detail) for item in reversed(it.store.history(10))]
    assert told == [
        ("ann", "join-token", f"{token.id} for dns"),
        ("ann", "join", f"m2 as dns, by the token {token.id}"),
        ("bob", "remove-machine", "m2"),
    ]
    assert token.secret.hex() not in str(told)


async def test_people_and_servers_are_not_renewed(it):
    for kind in ("operator", "server"):
        with pytest.raises(ForbiddenError) as caught:
            await it.renew("", new_key(), new_key(), who(f"{kind}/x"))
        assert refusal(caught) == "certificate-kind"
    with pytest.raises(RefusedError, match="certificate"):
        await it.renew("", new_key(), new_key(), who("m1/dns", "elsewhere"))
    with pytest.raises(ForbiddenError):
        await it.renew("", new_key(), new_key(), who("m9/dns"))


async def test_a_machine_that_is_known_gets_new_certificates_by_a_token_of_its_own(it):
    await joined(it)
    token = await it.token(rejoins="m2")
    with pytest.raises(RefusedError, match="join-token-machine"):
        await it.join(token, "m3")
    answer = await it.join(token, "m2", address="192.0.2.9:9000")
    assert set(answer["certificates"]) == {"dns"}
    assert json.loads(it.store.document("machines/m2").value)["processes"] == {"dns": "https://192.0.2.9:9000"}
    with pytest.raises(RefusedError, match="unknown-machine"):
        await it.token(rejoins="m9")


# The authority --------------------------------------------------------------------------------------------------------


def test_the_issuer_is_renewed_alone_where_the_roots_key_is(it, clocks):
    before = it.registrar.state
    write_private(it.trust / ROOT_KEY, key_to_pem(it.root.key))
    clocks(ISSUER_LIFE_S / 2 - 60)
    it.registrar.look()
    assert it.registrar.state == before
    clocks(120)
    it.registrar.look()
    after = it.registrar.state
    assert (len(after.issuers), after.issuers[1]) == (2, before.issuers[0])
    assert after.issuer_ends_s() == pytest.approx(clock.wall_s() + ISSUER_LIFE_S, abs=1)
    it.registrar.look()
    assert it.registrar.state == after
    (it.trust / ROOT_KEY).unlink()
    clocks(ISSUER_LIFE_S)
    it.registrar.look()
    assert it.registrar.state == after


def test_the_store_has_what_the_first_control_began_with_and_a_copy_serves_without_it(it, tmp_path):
    assert it.store.document(DOCUMENT).number == 1

    class Silent:
        def document(self, name):
            raise HostError("etcd does not answer", "start it")

    assert TrustHome(tmp_path, Silent()).read() == it.registrar.state
    assert TrustHome(tmp_path, None).read() == it.registrar.state
    with pytest.raises(HostError):
        TrustHome(tmp_path / "new", Silent()).read()
    with pytest.raises(RefusedError, match="no-identity"):
        TrustHome(tmp_path / "new", None).read()


def test_the_trust_of_another_installation_is_not_taken(it, tmp_path, clocks):
    (tmp_path / "b").mkdir()
    other = Installation(tmp_path / "b")
    with pytest.raises(RefusedError, match="other-trust"):
        TrustHome(tmp_path, other.store).read()
    other.close()


def test_of_two_who_change_the_trust_nobody_loses(it, tmp_path):
    by = Provenance(at_s=0.0, expires_s=1.0)
    one = Operator(role="viewer", key="0" * 64, by=by)
    second = EmbeddedStore(tmp_path)
    raced = []

    def make(state):
        if not raced:
            raced.append(True)
            TrustHome(tmp_path, second).change(lambda other: other.with_operator("bob", one))
        return state.with_operator("ann", one)

    assert set(it.home.change(make).operators) == {"ann", "bob"}
    assert set(it.home.read().operators) == {"ann", "bob"}
    second.close()

    def always(state):
        it.store.put(DOCUMENT, it.store.document(DOCUMENT).number, it.store.document(DOCUMENT).value)
        return state.with_operator("eve", one)

    with pytest.raises(RefusedError, match="stale"):
        it.home.change(always)


def test_damage_is_told(it):
    it.store.put(DOCUMENT, 1, b"{}")
    with pytest.raises(RefusedError, match="trust-damaged"):
        it.home.read()
    it.store.put("machines/m2", 0, b"x")
    with pytest.raises(HostError, match="damaged"):
        it.registrar._known("m2")


async def test_a_person_is_known_by_name_and_key(it):
    person = parse_spiffe(f"spiffe://{DOMAIN}/operator/ann")
    assert it.registrar.operator(person, "0" * 64) is None
    known = Operator(role="operator", apps=("shop",), key="0" * 64, by=Provenance(at_s=0.0, expires_s=1.0))
    it.home.change(lambda state: state.with_operator("ann", known))
    it.registrar.look()
    assert it.registrar.operator(person, "0" * 64) == known
    assert it.registrar.operator(person, "1" * 64) is None
    assert it.registrar.operator(parse_spiffe(f"spiffe://{DOMAIN}/ann/dns"), "0" * 64) is None
    assert it.registrar.operator(parse_spiffe("spiffe://elsewhere/operator/ann"), "0" * 64) is None
    it.home.change(lambda state: state.with_operator("ann", None))
    it.registrar.look()
    assert it.registrar.operator(person, "0" * 64) is None


async def test_what_is_seen_and_what_must_worry(it, clocks):
    await joined(it)
    now_s = clock.wall_s()
    it.registrar.own_ends_s = lambda: now_s + DAY_S
    seen = await it.registrar.seen({"dns": now_s + DAY_S, "m2/dns": now_s + 3600})
    IdentitySeen.model_validate(seen)
    assert [(machine["name"], [one["name"] for one in machine["certificates"]]) for machine in seen["machines"]] == [
        ("m1", ["m1/dns", "m1/control"]),
        ("m2", ["m2/dns"]),
    ]
    assert all(one["ends"] for machine in seen["machines"] for one in machine["certificates"])
    assert [alarm["what"] for alarm in seen["alarms"]] == ["the certificate of m2/dns ends in 1.0 hours"]
    assert set(it.registrar.ends_wall_s()) == {"control", "issuer", "root"}
    await it.registrar.remove("m2", "", "")
    clocks(ISSUER_LIFE_S - 10 * DAY_S)
    told = [alarm["what"] for alarm in (await it.registrar.seen({"dns": now_s, "m2/dns": now_s}))["alarms"]]
    assert told == [
        "the issuer ends in 10 days",
        "the certificate of m1/dns has ended",
        "the certificate of m1/control has ended",
    ]
    clocks(20 * DAY_S)
    assert "no certificate is renewed" in str((await it.registrar.seen({}))["alarms"][0])
    clocks(3400 * DAY_S)
    assert "the root ends" in str((await it.registrar.seen({}))["alarms"][0])


def test_a_machine_registers_itself_once(it, clocks):
    number = it.store.document("machines/m1").number
    clocks(100)
    it.registrar.register()
    assert it.store.document("machines/m1").number == number
