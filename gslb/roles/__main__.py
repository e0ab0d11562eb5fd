"""`python -m gslb.roles ROLE --settings FILE [--site SITE]`: one role process, as the supervisor starts it."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
from pathlib import Path

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the role listens for it: no traceback out of an import
sys.modules["rich"] = None  # type: ignore[assignment]  # structlog imports it wherever it finds it
import structlog  # noqa: E402, F401

del sys.modules["rich"]

from gslb.control.protocol import role_name  # noqa: E402
from gslb.roles.process import run_role  # noqa: E402
from gslb.roles.settings import Settings  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="gslb.roles", description=__doc__)
    parser.add_argument("role", choices=("comparer", "control", "dns", "edge", "observer"))
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--site")
    options = parser.parse_args()
    settings = Settings.load(options.settings)
    name = role_name(options.role, options.site)
    if options.role == "control":
        from gslb.roles.control import run as run_control

        return run_role(name, settings, run_control)
    if options.role == "dns":
        from gslb.roles.dns import run as run_dns

        return run_role(name, settings, run_dns)
    if options.role == "comparer":
        from gslb.roles.comparisons.comparer import run as run_comparer

        return run_role(name, settings, run_comparer)
    if options.role == "observer":
        from gslb.roles.observer import run as run_observer

        return run_role(name, settings, run_observer)
    from gslb.roles.edge import run as run_edge

    return run_role(name, settings, functools.partial(run_edge, site=options.site))


if __name__ == "__main__":
    sys.exit(main())
