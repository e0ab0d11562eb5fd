"""How the bench measures: processor time from the kernel's own books, a load generator, medians of rounds.

The machine may be shared and noisy: only ratios of numbers from the same run count, and rounds of the things compared
are interleaved so that both meet the same noise.
"""

import os
import re
import statistics
import subprocess
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process and its threads (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def wrk(url: str, host: str, seconds: float, headers: tuple[str, ...] = (), connections: int = 16) -> tuple[int, int]:
    """(requests that were answered, answers that were no 2xx or 3xx, or errors) of `wrk` with one thread."""
    arguments = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-H", f"Host: {host}"]
    for header in headers:
        arguments += ["-H", header]
    out = subprocess.run([*arguments, url], capture_output=True, text=True, check=True).stdout
    answered = int(re.search(r"(\d+) requests in", out)[1])
    bad = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return answered, bad + sum(map(int, errors.groups())) if errors else bad


def spread(values: list[float]) -> str:
    """Median, with the smallest and the largest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
