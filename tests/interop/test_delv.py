"""delv validates every answer by itself: directly at the policy's servers from the key of their zone, and from the root
through a cache."""

import base64
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop import zones
from tests.interop.house import with_broken_seals
from tests.interop.life import by_name
from tests.interop.questions import MADE, SAMPLE, existing, is_insecure
from tests.support.signed_zone import keys_of

pytestmark = pytest.mark.skipif(shutil.which("delv") is None, reason="needs delv: sh .ci/debian-packages")

AT_ONCE = 2
ELSEWHERE = tuple(f"{name}.{zones.APEX}" for name in ("far", "bare"))
GOOD = {"; fully validated", "; negative response, fully validated"}
UNSIGNED = {"; unsigned answer", "; negative response, unsigned answer"}


@pytest.fixture
def delv(house, tmp_path):
    """What delv says first of each of (name, type), by pair, at a server and from the key of a zone on."""

    def run(questions, server, zone):
        keys = house.snapshot.zone.keys if zone else keys_of("")
        key = next(key for key in keys if key.role == "ksk" and key.signs)
        anchors = tmp_path / "anchors"
        public = base64.b64encode(key.public).decode()
        anchors.write_text(f'trust-anchors {{ "{zone}." static-key 257 3 {key.algorithm} "{public}"; }};\n')

        def one(question):
            command = ["delv", *server, "-a", str(anchors), f"+root={zone or '.'}", *question]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return (done.stdout or done.stderr).splitlines()[0]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(questions, pool.map(one, questions), strict=True))

    return run


def at(address, port=53):
    return [f"@{address}", "-p", str(port)]


@pytest.mark.parametrize(("server", "types"), [(0, ["A"]), (1, ["TXT"])])
def test_every_name_is_fully_validated_at_the_server(house, delv, server, types):
    house.publish(by_name("secure"))
    names = [name for name in existing(house.tables) + MADE if not name.endswith(ELSEWHERE)]
    names += [f"no.{zones.APEX}", f"a.b.no.{zones.APEX}", f"0.shop.{zones.APEX}"]
    said = delv([(name, qtype) for name in names for qtype in types], at(zones.SERVERS[server]), zones.APEX)
    secure = {question: line for question, line in said.items() if not is_insecure(*question)}
    assert {question: line for question, line in secure.items() if line not in GOOD} == {}
    assert set(said.values()) <= GOOD | UNSIGNED


@pytest.mark.parametrize("qtype", ["SOA", "NS", "DNSKEY", "CDS", "CDNSKEY", "MX", "CAA", "HTTPS", "NSEC", "TYPE65281"])
def test_every_type_of_the_apex_is_fully_validated(house, delv, qtype):
    house.publish(by_name("ksk announced"))
    assert set(delv([(zones.APEX, qtype)], at(zones.SERVERS[0]), zones.APEX).values()) <= GOOD


def test_from_the_root_through_a_cache(house, resolver, delv):
    house.publish(by_name("secure"))
    resolver.forget()
    questions = [(name, qtype) for name in SAMPLE for qtype in ("AAAA", "DS")]
    said = delv(questions, at(resolver.address, resolver.port), "")
    wrong = {
        question: line for question, line in said.items() if line not in (UNSIGNED if is_insecure(*question) else GOOD)
    }
    assert wrong == {}


def test_a_broken_signature_is_refused(house, delv):
    house.publish(by_name("secure"))
    house.replace(with_broken_seals(house.tables, f"shop.{zones.APEX}"))
    questions = [(f"shop.{zones.APEX}", "A"), (f"both.{zones.APEX}", "A")]
    said = delv(questions, at(zones.SERVERS[0]), zones.APEX)
    assert said[questions[0]].endswith("no valid signature found")
    assert said[questions[1]] in GOOD
