"""Wrong policies, made of a good one by a seeded mutator: none reaches a node, none is a 5xx or a traceback, and each is
answered in bounded time. MUTATIONS says how many (make chaos: ten thousand)."""

from __future__ import annotations

import copy
import json
import os
import random

import pytest

from gslb import clock
from gslb.control.http.client import Client
from gslb.errors import PolicyError, RefusedError
from gslb.model.policy import Policy
from gslb.model.reader import parse_policy
from gslb.snapshot.intent import Intent
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher
from tests.unit.plan.world import BASE

COUNT = int(os.environ.get("MUTATIONS", "200"))
LIMIT_S = 20.0
"""Of one of them, on a machine that is busy with others; a policy of this size takes milliseconds."""

VALUES = (
    None, "", " ", [], {}, 0, -1, 1e308, 2**64, True, "x" * 70_000, "\x00", "\u2028", "NaN", ["x"] * 3000, {"": None},
    {"unknown": 1}, [[[[[]]]]], "192.0.2.300", "99999h", "-1s", "../../etc/passwd", "*", ".", "a..b", {"a": {"a": {"a": 1}}},
)  # fmt: skip


def paths(value, above=()):
    """Every place in a policy."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*above, key)
        yield from paths(item, (*above, key))


PLACES = list(paths(BASE))


def mutated(chance):
    """One to four places of the good policy: blank, null, huge, of the wrong type, gone, twice, or unknown."""
    policy = copy.deepcopy(BASE)
    for _ in range(chance.randint(1, 4)):
        *above, last = chance.choice(PLACES)
        holder = policy
        try:
            for key in above:
                holder = holder[key]
            how = chance.randrange(5)
            if how == 0:
                del holder[last]
            elif how == 1 and isinstance(holder, dict):
                holder[f"{last}{chance.choice('xyz_ .')}"] = copy.deepcopy(holder[last])
            elif how == 2 and isinstance(holder, dict):
                holder[chance.choice(("apps", "zone", "", "__proto__", "name", "to"))] = chance.choice(VALUES)
            else:
                holder[last] = chance.choice(VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier one took the place away
    return policy


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    publisher = MemoryPublisher(Intent(revision=1, policy=Policy.model_validate(BASE)))
    publisher.states.clear()
    with served(publisher, tmp_path_factory.mktemp("api")) as (socket, _):
        yield publisher, Client(str(socket))


def told(call, *given):
    """Whether it was refused in words. Anything but a refusal (HostError is what a 5xx becomes) goes up."""
    began, said = clock.mono_s(), ""
    try:
        call(*given)
    except (PolicyError, RefusedError) as error:
        said = str(error).strip() or "nothing"
    assert clock.mono_s() - began < LIMIT_S
    assert "Traceback" not in said
    assert said != "nothing"
    return bool(said)


@pytest.mark.timeout(120 + COUNT / 10)
@pytest.mark.parametrize("seed", range(4))
def test_no_wrong_policy_reaches_a_node(world, seed):
    publisher, client = world
    before, refused = publisher.intent, 0
    chance = random.Random(seed)
    base = {"revision": 1, "overrides": 0, "digest": publisher.snapshot.digest}
    for _ in range(COUNT // 4):
        policy = mutated(chance)
        text = json.dumps(policy).encode()
        is_wrong = told(lambda text: parse_policy({"policy.yaml": text}), text)
        told(client.post, "/v1/plan", {"policy": policy})
        asked = {"policy": policy, "base": base, "digest": "0" * 16, "message": "try"}
        assert told(client.post, "/v1/apply", asked), policy
        refused += is_wrong
    assert publisher.intent is before
    assert publisher.records == []
    assert refused > COUNT // 8, "most of them are wrong"
