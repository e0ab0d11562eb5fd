"""Discovery files: what Envoy serves, on disk, replaced whole. Whether Envoy took them is asked in `handover`.

Envoy sees a rename into a watched folder and nothing else, so a file is written aside and renamed. The files outlive
this process: an edge that starts with everything else gone serves what they say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gslb.edge.documents import Document
from gslb.edge.render import Paths, Peering, removed, runtime_layer, secrets
from gslb.errors import HostError
from gslb.whole_file import write_whole

__all__ = ["Credentials", "Files"]

_PATIENCE_S_PER_MB = 8.0
_LOG_EXCERPT_BYTES = 65_536
_SOCKET_PATH_BYTES = 107  # sun_path without its last zero


@dataclass(frozen=True, slots=True)
class Credentials:
    """What this edge shows to others, and whom it believes. `folder` holds cert.pem and key.pem, which lead through a
    link in it that is turned; `authority` is a file. Both absolute."""

    trust_domain: str
    folder: Path
    authority: Path


class Files:
    """The folder of one edge: `lds/`, `cds/`, `rds/`, `rtds/`, `sds/` (where it talks to other edges), the bootstrap,
    Envoy's socket and log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.bootstrap = self.folder / "bootstrap.json"
        self.log = self.folder / "envoy.log"
        self.process = self.folder / "envoy.process.json"
        self.leaving = self.folder / "envoy.leaving.json"
        self.leaving_admin = self.folder / "going.sock"
        self.paths = Paths(
            admin=str(self.folder / "admin.sock"),
            listeners=str(self.folder / "lds" / "listeners.json"),
            clusters=str(self.folder / "cds" / "clusters.json"),
            routes=str(self.folder / "rds" / "routes.json"),
            runtime=str(self.folder / "rtds" / "runtime.json"),
        )
        self.secrets = self.folder / "tls"
        self._seen: dict[str, tuple[tuple[int, int, int], Document]] = {}

    def make_folders(self) -> None:
        """Raises HostError where the folder cannot be written or its name is too long for a unix socket."""
        if len(os.fsencode(self.paths.admin)) > _SOCKET_PATH_BYTES:
            raise HostError(
                f"{self.paths.admin} is too long for a unix socket ({_SOCKET_PATH_BYTES} octets)",
                "choose a data folder with a shorter path",
            )
        try:
            for path in self._all():
                Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HostError(f"{self.folder} cannot be written: {error.strerror}", "choose another data folder") from (
                error
            )

    def begin_runtime(self) -> None:
        """Envoy does not start without one."""
        if not Path(self.paths.runtime).exists():
            self.write(self.paths.runtime, Document.of("nothing", [runtime_layer({})]))

    def read(self, path: str) -> Document | None:
        """What lies there, or None where nothing does that can be read. A file that was read or written here and has
        not changed since is not read again."""
        try:
            mark = _mark(path)
            seen = self._seen.get(path)
            if seen is not None and seen[0] == mark:
                return seen[1]
            document = Document.read(Path(path).read_bytes())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        self._seen[path] = mark, document
        return document

    def read_all(self) -> dict[str, Document | None]:
        return {path: self.read(path) for path in self._all()}

    def more_routes(self) -> dict[str, Document | None]:
        """What lies there for `also` ports, by path."""
        rds = Path(self.paths.routes)
        return {str(path): self.read(str(path)) for path in self.folder.glob(f"{rds.parent.name}-*/{rds.name}")}

    def write(self, path: str, document: Document | None) -> None:
        """Replace what lies at `path`; None removes it."""
        if document is None:
            Path(path).unlink(missing_ok=True)
        else:
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(Path(path), document.encode())
            self._seen[path] = _mark(path), document

    def peering(self, credentials: Credentials, shut_out: Iterable[str] = ()) -> Peering:
        """Let Envoy know where the credentials lie, and which machines come in no more; what is replaced there it sees
        by itself. Raises HostError."""
        sds = self.folder / "sds"
        identity, authority, gone = sds / "identity.json", sds / "peers.json", self.folder / "ecds" / "removed.json"
        own, theirs = secrets(str(credentials.folder), str(credentials.authority))
        nobody = removed(credentials.trust_domain, shut_out)
        for file, resource in ((identity, own), (authority, theirs), (gone, nobody)):
            file.parent.mkdir(exist_ok=True, mode=0o700)
            content = json.dumps({"resources": [resource]}).encode()
            if not file.exists() or file.read_bytes() != content:
                write_whole(file, content)
        return Peering(credentials.trust_domain, str(identity), str(authority), str(gone))

    def patience_s(self) -> float:
        """How much longer (seconds) than a small policy this one may take Envoy, which answers nobody meanwhile. An
        Envoy that starts with 22,000 clusters, of which 20,000 are aggregates that it tells of every other one, needs
        a minute of a core."""
        files = [Path(path) for path in self._all()]
        return sum(file.stat().st_size for file in files if file.exists()) / 1e6 * _PATIENCE_S_PER_MB

    def log_size_bytes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def log_after(self, offset_bytes: int) -> str:
        """What Envoy wrote to its log since it was `offset_bytes` long, 64 KiB at most."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(offset_bytes)
            return log.read(_LOG_EXCERPT_BYTES).decode(errors="replace")

    def complete(self) -> bool:
        """Whether Envoy could start with what is there."""
        return all(self.read_all().values())

    def _all(self) -> tuple[str, str, str, str]:
        return (self.paths.clusters, self.paths.routes, self.paths.listeners, self.paths.runtime)


def _mark(path: str) -> tuple[int, int, int]:
    """Another one for every content: each is a file of its own that was renamed."""
    found = Path(path).stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
