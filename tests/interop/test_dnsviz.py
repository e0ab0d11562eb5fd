"""DNSViz probes every server from the root on, with its EDNS diagnostics, and finds no error in any state of the keys;
and no warning but that the parent has not yet done what it is asked for."""

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.interop import zones
from tests.interop.house import with_broken_seals
from tests.interop.life import by_name, states
from tests.interop.questions import SAMPLE

DNSVIZ = Path(sysconfig.get_path("scripts")) / "dnsviz"

ON_LOOPBACK = "NS_NAME_PRIVATE_IP"
"""It says so of some zones although it was told to allow it."""

PARENT_MUST_ACT = {"CDS_INCONSISTENT_WITH_DS", "CDNSKEY_INCONSISTENT_WITH_DS"}
EXPECTED = {"ksk announced": PARENT_MUST_ACT, "ksk withdrawn": PARENT_MUST_ACT}


@pytest.fixture
def found(house, anchor, tmp_path):
    """The codes of all errors and warnings, and the status of the delegation where the zone is signed: DNSViz 0.11 fails
    to tell that of an unsigned one."""

    def run(*names):
        probe = tmp_path / "probe"
        call(
            "probe", "-4", "-E", "-A", "-d", "1", "-a", ".", "-x", f".:a.root={zones.ROOT_AT}", "-o", str(probe), *names
        )
        grok = ("grok", "-P", "--trust-cdnskey-cds", "-t", str(anchor), "-r", str(probe))
        codes = set(_codes(json.loads(call(*grok, "-l", "warning") or "{}")))
        if not house.state.keys:
            return codes - {ON_LOOPBACK}, "INSECURE"
        told = json.loads(call(*grok, "-l", "info", zones.APEX))
        return codes - {ON_LOOPBACK}, told[f"{zones.APEX}."]["delegation"]["status"]

    return run


def call(*words):
    done = subprocess.run([DNSVIZ, *words], capture_output=True, text=True, check=True)
    return done.stdout


def _codes(part):
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("errors", "warnings"):
                yield from (item["code"] for item in value)
            else:
                yield from _codes(value)
    elif isinstance(part, list):
        for item in part:
            yield from _codes(item)


@pytest.mark.parametrize("state", [pytest.param(state, id=state.name) for state in states()])
def test_no_state_of_the_keys_has_an_error(house, found, state):
    house.publish(state)
    names = SAMPLE if state.name == "secure" else SAMPLE[::4]
    assert found(*names) == (EXPECTED.get(state.name, set()), "SECURE" if state.ds else "INSECURE")


def test_a_broken_signature_is_an_error(house, found):
    house.publish(by_name("secure"))
    house.replace(with_broken_seals(house.tables, f"shop.{zones.APEX}"))
    codes, _ = found(zones.APEX, f"shop.{zones.APEX}")
    assert codes == {"SIGNATURE_INVALID"}
