"""Many games in the virtual world: `python -m bench.simulate --games 10000`. Prints every seed that goes wrong."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from gslb.simulate import play


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    began, wrong, changes = time.perf_counter(), 0, 0
    seeds = range(options.first, options.first + options.games)
    with ProcessPoolExecutor(options.processes) as pool:
        for report in pool.map(play, seeds, chunksize=20):
            changes += report.changes
            if report.violations:
                wrong += 1
                print(f"seed {report.seed}: {'; '.join(report.violations[:3])}", flush=True)
    took_s = time.perf_counter() - began
    print(f"{options.games} games, {wrong} against the invariants, {changes} changes of answers, {took_s:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
