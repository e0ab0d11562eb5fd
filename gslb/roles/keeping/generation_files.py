"""The folder in which a node keeps its generations: one file an offer, and a record of which is which.

Everything is written whole and synced, the offer before the record that names it. A file's name holds what it is and a
checksum, so that damage shows, and so that a damaged record can be made again from the names alone. Which generation is
to be served is `generations`' to say.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import structlog
from pydantic import ValidationError

from gslb.control.protocol import Applied
from gslb.errors import HostError
from gslb.roles.keeping.generations import Generation, Record
from gslb.whole_file import sync_folder, write_whole

__all__ = ["MAX_OFFER_BYTES", "GenerationFiles"]

MAX_OFFER_BYTES = 64 * 1024 * 1024
MAX_RECORD_BYTES = 64 * 1024
RECORD = "record.json"

_NAME = re.compile(r"(\d{1,10})\.(\d{1,19})\.([0-9a-f]{1,64})\.([0-9a-f]{16})\.json")

_log = structlog.get_logger(__name__)


class GenerationFiles:
    """Below `folder`, the role's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "generations"

    def load(self) -> Record:
        """What is on disk. Of a record that cannot be read, the names of the files tell the rest."""
        path = self._folder / RECORD
        try:
            if path.stat().st_size <= MAX_RECORD_BYTES:
                return Record.model_validate_json(path.read_bytes())
            why = "it is too large"
        except FileNotFoundError:
            why = ""
        except (OSError, ValidationError) as error:
            why = str(error)
        found = self._found()
        if why or found.generations:
            _log.warning("the record of generations does not read; their files do", file=str(path), why=why or "gone")
        return found

    def read(self, generation: Generation) -> bytes | None:
        """The offer, None where it is damaged or gone."""
        path = self._folder / generation.file
        why = "its checksum does not fit"
        try:
            if path.stat().st_size <= MAX_OFFER_BYTES:
                body = path.read_bytes()
                if _checksum(body) == generation.file.rsplit(".", 2)[1]:
                    return body
        except OSError as error:
            why = error.strerror or str(error)
        _log.warning("a generation on disk is damaged", file=str(path), why=why)
        return None

    def add(self, body: bytes, applied: Applied, wall_s: float) -> Generation:
        """Keep an offer; it counts once the record names it. Raises HostError where the disk does not take it."""
        file = f"{applied.revision}.{applied.overrides}.{applied.digest}.{_checksum(body)}.json"
        self._make()
        write_whole(self._folder / file, body)
        return Generation(file=file, applied=applied, taken_wall_s=wall_s)

    def save(self, record: Record) -> None:
        """From now on `record` holds, also after a power cut; what it does not name is deleted. Raises HostError."""
        self._make()
        write_whole(self._folder / RECORD, record.model_dump_json(indent=1).encode())
        named = {RECORD, *(item.file for item in record.generations)}
        sync_folder(self._folder)
        with _host_errors(self._folder):
            for path in self._folder.iterdir():
                if path.name not in named:
                    path.unlink(missing_ok=True)

    def _make(self) -> None:
        with _host_errors(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _found(self) -> Record:
        """By the names: the newest on trial, as nobody knows better."""
        parts = sorted(
            ((int(m[1]), int(m[2]), m[3], m[0]) for p in self._folder.glob("*.json") if (m := _NAME.fullmatch(p.name))),
            reverse=True,
        )
        generations = tuple(
            Generation(file=file, applied=Applied(revision=revision, overrides=overrides, digest=digest), good=rank > 0)
            for rank, (revision, overrides, digest, file) in enumerate(parts)
        )
        return Record(generations=generations, highest=parts[0][:2] if parts else (0, 0))


@contextlib.contextmanager
def _host_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"{folder} cannot be written: {error.strerror}", "free space, or fix its owner") from error


def _checksum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
