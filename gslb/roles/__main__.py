"""`python -m gslb.roles ROLE --settings FILE [--site SITE]`: one role process, as the supervisor starts it."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from gslb.control.protocol import role_name
from gslb.roles.process import run_role
from gslb.roles.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="gslb.roles", description=__doc__)
    parser.add_argument("role", choices=("control", "dns", "edge"))
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--site")
    options = parser.parse_args()
    settings = Settings.load(options.settings)
    name = role_name(options.role, options.site)
    if options.role == "control":
        from gslb.roles import control

        return run_role(name, settings, control.run)
    if options.role == "dns":
        from gslb.roles import dns

        return run_role(name, settings, dns.run)
    from gslb.roles import edge

    return run_role(name, settings, functools.partial(edge.run, site=options.site))


if __name__ == "__main__":
    sys.exit(main())
