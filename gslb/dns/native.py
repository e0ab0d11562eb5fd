"""Which wire serves datagrams: the native one (`_wire`, built from Cython where a C compiler was), or the pure one.

The choice is made once, at start, and is told; nobody is degraded in silence. Nothing is answered here.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Literal

from gslb.errors import HostError

__all__ = ["Wire", "available", "choose", "thread_count"]

Wire = Literal["native", "python"]

_MODULE = "gslb.dns._wire"


def available() -> bool:
    """Whether the native wire was built."""
    return find_spec(_MODULE) is not None


def choose(asked: Literal["auto", "native", "python"]) -> Wire:
    """What serves where `asked` was asked for; `auto`: the native wire where it was built.

    Raises HostError where the native wire was asked for by name and not built.
    """
    if asked == "native" and not available():
        raise HostError(
            "the native wire was asked for and is not built",
            "install gcc and the headers of Python, then gslb again, and read what its build says; or start with "
            "--wire python, which gives the same answers, more slowly",
        )
    return "native" if asked != "python" and available() else "python"


def thread_count(wire: Wire, asked: int | None) -> int:
    """How many threads serve datagrams where `asked` were asked for (None: one for each core that we may use); 0: the
    event loop does.

    Raises HostError where threads were asked for and the wire has none.
    """
    if wire == "native":
        return len(os.sched_getaffinity(0)) if asked is None else asked
    if asked:
        raise HostError(
            f"{asked} DNS threads were asked for, and only the native wire has threads",
            "leave --dns-threads out, or start with --wire native",
        )
    return 0
