"""Which installation of this machine a command works on that asks no API: its data folder and its store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gslb.errors import HostError

__all__ = ["WHERE", "found", "require_folder"]

_FOLDER = click.Path(path_type=Path, file_okay=False, resolve_path=True)

WHERE = (
    click.option("--data", type=_FOLDER, metavar="DIR", help="The data folder.  [default: as gslb runs here]"),
    click.option("--store", metavar="URL", help="The store, as for gslb run.  [default: as gslb runs here, or sqlite]"),
)


def found(where: Mapping[str, Any]) -> tuple[Path, str, Path | None]:
    """Data folder, store and DNSSEC secret: as they are said, else as this machine's gslb was started, else the
    defaults of gslb run."""
    from gslb.control.http.client import runtime_folder
    from gslb.roles.settings import Settings
    from gslb.store import SQLITE

    data, store, secret = where["data"], where["store"], where.get("dnssec_secret")
    try:
        running = Settings.load(runtime_folder() / "settings.json") if data is None else None
    except (OSError, ValueError):
        running = None
    if running is not None:
        return running.data, store or running.store, secret or running.dnssec_secret
    return data or Path("/var/lib/gslb"), store or SQLITE, secret


def require_folder(data: Path) -> None:
    if not data.is_dir():
        raise HostError(f"there is no data folder {data}", "name the one of gslb run: --data DIR")
