"""`gslb backup` and `gslb restore`. Arguments, files and printing only; they work on the store and the data folder
themselves, because what they carry is no business of the API's."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gslb.cli.operate import JSON
from gslb.cli.passphrase import PASSPHRASE_FILE, passphrase
from gslb.cli.where import WHERE, found, require_folder
from gslb.errors import HostError
from gslb.whole_file import read_limited

__all__ = ["backup", "restore"]

_FILE_LIMIT_BYTES = 600 * 2**20
_FILE = click.Path(path_type=Path, dir_okay=False)

_WHERE = (
    *WHERE,
    PASSPHRASE_FILE,
    JSON,
)


def _where(command: Callable[..., None]) -> Callable[..., None]:
    return functools.reduce(lambda inner, option: option(inner), reversed(_WHERE), command)


@click.command()
@click.argument("file", metavar="FILE", type=_FILE)
@click.option(
    "--dnssec-secret", type=_FILE, metavar="FILE", help="Where that of gslb run lies, if not in the data folder."
)
@_where
def backup(*, file: Path, passphrase_file: Path | None, as_json: bool, **where: Any) -> None:
    """Write everything into one encrypted file: policies of all revisions, overrides, history, keys, trust.

    Also while gslb runs, and best on the machine of a control. The file is sealed under a passphrase (AES-256-GCM,
    scrypt): keep that elsewhere. It takes the place of FILE when it is whole.

    \b
    Examples:
      gslb backup /var/backups/gslb-monday.bak
      gslb backup monday.bak --passphrase-file /etc/gslb/backup.passphrase
    """
    from gslb.roles import backup as work
    from gslb.store import open_store
    from gslb.trust.passphrase import FRESH_BYTES, require_strong, seal_file
    from gslb.trust.private_files import write_private

    phrase = passphrase(passphrase_file, confirm=True)
    require_strong(phrase)
    data, store_url, dnssec_secret = found(where)
    require_folder(data)
    store = open_store(store_url, data)
    try:
        taken = work.take(store, data, dnssec_secret)
    finally:
        store.close()
    octets = seal_file(work.MARK, phrase, work.pack(taken), secrets.token_bytes(FRESH_BYTES))
    write_private(file.absolute(), octets)
    told = {
        "environment": taken.environment, "revision": taken.bundle.revision,
        "overrides": taken.bundle.overrides_version, "policies": len(taken.policies), "changes": len(taken.history),
        "documents": len(taken.documents), "files": len(taken.files), "octets": len(octets),
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"environment {taken.environment}: version {taken.bundle.version} is in {file} ({len(octets):,} octets)")
    counted = ("policies", "changes", "documents", "files")
    click.echo("  " + ", ".join(f"{told[name]} {name}" for name in counted))
    click.echo("try it once: gslb restore into an empty folder (--data), with this passphrase")


@click.command()
@click.argument("file", metavar="FILE", type=_FILE)
@click.option(
    "--revision", type=click.IntRange(1, 0xFFFFFFFF), metavar="REV", help="What the policy gets.  [default: 1000 more]"
)
@click.option("--allow", type=click.Choice(("not-empty",)), help="Over what is in force there; its file is kept aside.")
@_where
def restore(
    *, file: Path, revision: int | None, allow: str | None, passphrase_file: Path | None, as_json: bool, **where: Any
) -> None:
    """Bring everything of a backup into an empty data folder, or an empty etcd.

    The policy comes into force under a revision that is 1000 higher: nodes take nothing older than what they have, and
    the backup is older than what was last. Where gslb runs in the folder it is refused: stop it first.

    \b
    Examples:
      gslb restore monday.bak
      gslb restore monday.bak --data /tmp/try
      gslb restore monday.bak --store etcd://10.0.0.1:2379/gslb
    """
    from gslb.roles import backup as work
    from gslb.trust.passphrase import open_file

    octets = _read(file)
    opened = work.unpack(open_file(work.MARK, passphrase(passphrase_file), octets, str(file)))
    data, store_url, _ = found(where)
    done = work.restore(opened, store_url, data, revision=revision, over=allow is not None)
    if as_json:
        click.echo(done.model_dump_json(indent=2))
        return
    click.echo(f"environment {done.environment}: revision {done.revision} is in force in {data}")
    click.echo(
        f"  {done.changes} changes, {done.documents} documents, {done.files} files; taken from {opened.bundle.version}"
    )
    if done.aside:
        click.echo(f"  the store that was there is {done.aside}")
    click.echo("go on: gslb run, as before, without a folder: one would take the place of the restored policy")


def _read(file: Path) -> bytes:
    octets = read_limited(file, _FILE_LIMIT_BYTES)
    if len(octets) > _FILE_LIMIT_BYTES:
        raise HostError(f"{file} is larger than any backup", "name the file that gslb backup wrote")
    return octets
