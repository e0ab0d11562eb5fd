"""Three machines that look, and cables that are cut: the majority's word counts, and nobody else's. `make chaos` repeats
it and prints the figures."""

from __future__ import annotations

import json
import time

from tests.chaos.conftest import APPS, ROUNDS
from tests.chaos.test_failover import LIMIT_S, figures
from tests.chaos.world import ADDRESS

READ_S = 1.5
"""What another place sees is read twice a second, and told on; and three machines stand on one."""
MAJORITY = ("hub", "aws")


def test_the_majority_takes_out_who_is_dead_and_who_is_cut_off_changes_nothing(places):
    took_s: dict[str, list[float]] = {"front": [], "cut": []}
    with places(apps=APPS) as world:
        for turn in range(ROUNDS):
            for number, fault in enumerate(took_s):
                watching = {where: world.watching_at(where, 9.0) for where in (*MAJORITY, "dc")}
                time.sleep(1.0 + (turn * 0.37 + number * 0.19) % 1.0)
                at_s = world.inject(fault)
                seen = {where: json.loads(watch.communicate()[0]) for where, watch in watching.items()}
                for where in MAJORITY:
                    for name, item in seen[where].items():
                        assert item["empty"] == 0
                        assert item["changes"][-1][1] == ADDRESS["aws"], f"{where} still tells dc for {name}: {fault}"
                        took_s[fault].append(item["last"][ADDRESS["dc"]] - at_s)
                own = {item["changes"][-1][1] for item in seen["dc"].values()}
                assert own == {ADDRESS["aws" if fault == "front" else "dc"]}, "who is cut off is outvoted by nobody"
                world.heal(fault)
                world.fresh_dns()
        watching = {where: world.watching_at(where, 10.0) for where in (*MAJORITY, "dc")}
        world.inject("one-sided")
        seen = {where: json.loads(watch.communicate()[0]) for where, watch in watching.items()}
    every = sorted(value for values in took_s.values() for value in values)
    told = {fault: figures(values) for fault, values in took_s.items()}
    print(json.dumps({"three places, trials": len(every), "all": figures(every), **told}))
    assert figures(every)["p99"] <= LIMIT_S + READ_S
    changes = {where: sum(len(item["changes"]) - 1 for item in names.values()) for where, names in seen.items()}
    assert changes == {"hub": 0, "aws": 0, "dc": 0}, "one of three takes nobody out"
