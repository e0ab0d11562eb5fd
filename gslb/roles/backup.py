"""Everything that an installation is, as one value: policies of all revisions, overrides with their keys, the history,
documents, secrets and trust. Taken from a store and a data folder, and brought back to either kind of store.

What nodes keep for themselves (generations, files of Envoys) is not in it: they get it from control. How the file is
sealed stands in `trust.passphrase`.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gslb import __version__, clock
from gslb.errors import HostError, RefusedError
from gslb.roles.supervisor import lock_folder
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Overrides
from gslb.snapshot.types import Version
from gslb.store import SQLITE, TERM, AuditEntry, AuditRecord, Store, open_store
from gslb.trust.private_files import make_folder, write_private
from gslb.trust.signer_files import FOLDER, TrustFolder
from gslb.whole_file import read_limited

__all__ = ["AHEAD", "LIMIT_BYTES", "MARK", "Backup", "Restored", "pack", "restore", "take", "unpack"]

MARK = b"gslbBAK\n"
LIMIT_BYTES = 512 * 2**20
"""Of a backup, unpacked. A thousand revisions of a policy of half a MiB."""
AHEAD = 1000
"""A restored policy gets a revision that much higher: nodes take nothing older than what they have, and there were
changes after the backup. The SOA serial rises with it, which secondaries like (RFC 1982)."""
_HISTORY = 1_000_000
_TRIES = 5
_FILE_LIMIT_BYTES, _FILES_LIMIT = 2**20, 1000
_FOLDERS = ("joins", "machines", "wave")
_DOCUMENTS = (TERM, "signers", "trust", "wave")
_STORE_FILE = "gslb.db"
_PART = r"\.?[A-Za-z0-9_@:-][A-Za-z0-9._@:-]*"
_PATH = f"{_PART}(/{_PART})*"
"""Relative, and never upwards."""
_MODEL = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class Change(BaseModel):
    """One line of the history."""

    model_config = _MODEL

    revision: int
    overrides: int
    at_s: float
    author: str
    action: str
    detail: str
    reason: str


class Kept(BaseModel):
    """A document of the store."""

    model_config = _MODEL

    name: str
    number: int
    value: bytes = Field(repr=False)


class File(BaseModel):
    """Below the data folder. `link`: a relative link in place of octets."""

    model_config = _MODEL

    path: Annotated[str, Field(pattern=f"^{_PATH}$")]
    octets: bytes = Field(b"", repr=False)
    link: Annotated[str, Field(pattern=f"^({_PATH})?$")] = ""


class Backup(BaseModel):
    """`policies` are JSON texts by revision."""

    model_config = _MODEL

    format: Literal[1] = 1
    version: str
    made_at_s: float
    environment: str
    bundle: Bundle
    policies: Mapping[int, str] = Field(repr=False)
    history: tuple[Change, ...]
    documents: tuple[Kept, ...]
    files: tuple[File, ...]


class Restored(BaseModel):
    """What is in force after a restore. `aside`: where the store that was there before lies, empty: there was none."""

    model_config = _MODEL

    environment: str
    revision: int
    overrides: int
    made_at_s: float
    changes: int
    documents: int
    files: int
    aside: str = ""


def take(store: Store, data: Path, dnssec_secret: Path | None = None) -> Backup:
    """A consistent backup, also while everything runs. Raises RefusedError, rule `no-policy`, and HostError."""
    for _ in range(_TRIES):
        bundle = store.read()
        if bundle is None:
            raise RefusedError("no-policy", "there is nothing to back up yet", "give gslb run a folder with a policy")
        history = [r for r in reversed(store.history(_HISTORY)) if r.version <= bundle.version]
        policies = {number: store.policy(number).model_dump_json() for number in _revisions(history, bundle)}
        documents = tuple(_documents(store))
        if not store.changed(bundle.version, 0.0):
            break
    else:
        raise HostError("the policy changes all the while", "try again when less happens")
    return Backup(
        version=__version__,
        made_at_s=clock.wall_s(),
        environment=bundle.intent().policy.environment,
        bundle=bundle,
        policies={**policies, bundle.revision: bundle.policy},
        history=tuple(_change(record) for record in history),
        documents=documents,
        files=tuple(_files(data, dnssec_secret)),
    )


def pack(backup: Backup) -> bytes:
    """Raises RefusedError, rule `too-large`."""
    octets = backup.model_dump_json().encode()
    if len(octets) > LIMIT_BYTES:
        raise RefusedError("too-large", f"the backup takes {len(octets):,} octets", "copy the store's files instead")
    return zlib.compress(octets, 6)


def unpack(octets: bytes) -> Backup:
    """Raises RefusedError, rule `damaged`."""
    try:
        inflater = zlib.decompressobj()
        text = inflater.decompress(octets, LIMIT_BYTES)
        if not inflater.eof:
            raise ValueError("it does not end, or is too large")  # noqa: TRY301 - told with the others
        return Backup.model_validate_json(text)
    except (zlib.error, ValidationError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise RefusedError("damaged", f"the backup does not read: {why}", "use the gslb that made it") from None


def restore(backup: Backup, store_url: str, data: Path, *, revision: int | None = None, over: bool = False) -> Restored:
    """Brings `backup` into the store at `store_url` and the folder `data`, and puts its policy in force under a newer
    version: `revision`, or AHEAD of the backup's. Each file and the store itself is whole or as before; the policy
    comes into force last.

    Raises HostError where a gslb runs in `data`, and RefusedError: rule `not-empty` where something was in force there,
    unless `over`; rule `stale` where `revision` is not newer.
    """
    make_folder(data)
    with lock_folder(data):
        with contextlib.closing(open_store(store_url, data)) as store:
            present = store.read()
        if present is not None and not over:
            raise RefusedError(
                "not-empty",
                f"version {present.version} is in force in {data if store_url == SQLITE else store_url}",
                "name an empty one (--data, --store), or insist: --allow not-empty",
            )
        _write_files(backup, data)
        trust = TrustFolder(data / FOLDER)
        trust.make("restored")
        least = max(backup.bundle.revision, present.revision if present else 0)
        final = trust.signed(_final(backup, least, revision))
        if store_url == SQLITE:
            aside = _replace_file(backup, final, data)
        else:
            aside = ""
            with contextlib.closing(open_store(store_url, data)) as store:
                _fill(store, backup, final, replay=present is None)
    return Restored(
        environment=backup.environment,
        revision=final.revision,
        overrides=final.overrides_version,
        made_at_s=backup.made_at_s,
        changes=len(backup.history),
        documents=len(backup.documents),
        files=len(backup.files),
        aside=aside,
    )


# Taking --------------------------------------------------------------------------------------------------------------


def _revisions(history: Sequence[AuditRecord], bundle: Bundle) -> Sequence[int]:
    """0 is what was done before the first policy."""
    return sorted({record.version.revision for record in history} - {0, bundle.revision})


def _change(record: AuditRecord) -> Change:
    entry = record.entry
    return Change(
        revision=record.version.revision, overrides=record.version.overrides, at_s=entry.at_s, author=entry.author,
        action=entry.action, detail=entry.detail, reason=entry.reason,
    )  # fmt: skip


def _documents(store: Store) -> Iterator[Kept]:
    """But for the leader's beat, which means nothing afterwards."""
    found = [*(store.document(name) for name in _DOCUMENTS), *(d for name in _FOLDERS for d in store.documents(name))]
    for document in found:
        if document.value is not None:
            yield Kept(name=document.name, number=document.number, value=document.value)


def _files(data: Path, dnssec_secret: Path | None) -> Iterator[File]:
    """Secrets, and everything about trust."""
    trust = data / FOLDER
    found = [*data.glob("*.secret"), *(path for path in sorted(trust.rglob("*")) if trust.is_dir())]
    if len(found) > _FILES_LIMIT:
        raise HostError(f"{trust} holds more than {_FILES_LIMIT} files", "take out what is not gslb's")
    for path in found:
        name = str(path.relative_to(data))
        if path.is_symlink():
            yield File(path=name, link=str(path.readlink()))
        elif path.is_file():
            yield File(path=name, octets=_octets(path))
    if dnssec_secret is not None:
        yield File(path="dnssec.secret", octets=_octets(dnssec_secret))


def _octets(path: Path) -> bytes:
    octets = read_limited(path, _FILE_LIMIT_BYTES, "run this as the user that runs gslb")
    if len(octets) > _FILE_LIMIT_BYTES:
        raise HostError(f"{path} is larger than what gslb keeps there", "take out what is not gslb's")
    return octets


# Restoring -----------------------------------------------------------------------------------------------------------


def _final(backup: Backup, least: int, revision: int | None) -> Bundle:
    """What comes into force, unsigned."""
    if revision is not None and revision <= least:
        raise RefusedError("stale", f"revision {revision} is not newer than {least}", "name a higher one: --revision")
    before = Overrides.model_validate_json(backup.bundle.overrides)
    overrides = before.model_copy(update={"version": before.version + 1})
    return Bundle(
        revision=revision or least + AHEAD,
        overrides_version=overrides.version,
        policy=backup.bundle.policy,
        overrides=overrides.model_dump_json(),
    )


def _replace_file(backup: Backup, final: Bundle, data: Path) -> str:
    """The store of one machine is made beside the present one, and takes its place when it is whole."""
    beside = make_folder(data / f".restoring-{secrets.token_hex(4)}")
    try:
        with contextlib.closing(open_store(SQLITE, beside)) as store:
            _fill(store, backup, final, replay=True)
        aside = _move_aside(data)
        (beside / _STORE_FILE).rename(data / _STORE_FILE)
    except OSError as error:
        raise HostError(f"the store cannot be put in place: {error.strerror}", f"check {data}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return aside


def _move_aside(data: Path) -> str:
    """An empty store is no loss. Raises OSError."""
    path = data / _STORE_FILE
    with contextlib.closing(open_store(SQLITE, data)) as store:
        is_empty = store.read() is None
    kept = data / f"{_STORE_FILE}.before-{int(clock.wall_s())}"
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists() and is_empty:
            part.unlink()
        elif part.exists():
            part.rename(f"{kept}{suffix}")
    return "" if is_empty else str(kept)


def _fill(store: Store, backup: Backup, final: Bundle, *, replay: bool) -> None:
    """`replay`: the history change by change, so that revisions and who made them are as they were. What lies between
    has no overrides and no signature: only the last one can be in force."""
    for kept in backup.documents:
        _raise_document(store, kept)
    current = store.read()
    version: Version | None = current.version if current else None
    for change in backup.history if replay else ():
        entry = AuditEntry(change.at_s, change.author, change.action, change.detail, change.reason)
        if Version(change.revision, change.overrides) <= (version or Version(0, 0)):
            store.append(entry)
            continue
        policy = backup.policies.get(change.revision)
        if policy is None:
            continue
        text = Overrides(version=change.overrides).model_dump_json()
        made = Bundle(revision=change.revision, overrides_version=change.overrides, policy=policy, overrides=text)
        store.write(version, made, entry)
        version = made.version
    detail = f"version {backup.bundle.version} of a backup, as {final.version}"
    store.write(version, final, AuditEntry(clock.wall_s(), "gslb restore", "restore", detail))


def _raise_document(store: Store, kept: Kept) -> None:
    """Its number is not lower than it was: who has seen it must not take it for an older one."""
    present = store.document(kept.name)
    while present.number < kept.number or present.value != kept.value:
        present = store.put(kept.name, present.number, kept.value)


def _write_files(backup: Backup, data: Path) -> None:
    for file in backup.files:
        path = data / file.path
        make_folder(path.parent)
        if not file.link:
            write_private(path, file.octets)
            continue
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            beside.symlink_to(file.link)
            beside.replace(path)
        except OSError as error:
            raise HostError(f"{path} cannot be made: {error.strerror}", f"check {data}") from None
