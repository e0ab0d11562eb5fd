"""Which wire serves datagrams: the native one (`_wire`, built from Cython where a C compiler was), or the pure one.

The choice is made once, at start, and is told; nobody is degraded in silence. Nothing is answered here.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from gslb.errors import HostError

__all__ = ["Wire", "available", "choose"]

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
