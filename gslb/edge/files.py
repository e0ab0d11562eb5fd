"""Discovery files: what Envoy serves, on disk, replaced whole. Whether Envoy took them is asked in `handover`.

Envoy sees a rename into a watched folder and nothing else, so a file is written aside and renamed. The files outlive
this process: an edge that starts with everything else gone serves what they say.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gslb.edge.render import EdgeConfig, Paths, Peering, Resource, discovery, removed, runtime_layer, secrets
from gslb.errors import HostError
from gslb.whole_file import write_whole

__all__ = ["Credentials", "Document", "Files", "documents"]

_LOG_EXCERPT_BYTES = 65_536
_SOCKET_PATH_BYTES = 107  # sun_path without its last zero


@dataclass(frozen=True, slots=True)
class Document:
    """One discovery file. `digest` is of the resources alone; `version` is what Envoy shows, and ends in it."""

    snapshot: str
    resources: Sequence[Resource]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        text = json.dumps(self.resources, sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:16])

    @property
    def version(self) -> str:
        return f"{self.snapshot} {self.digest}"

    def encode(self) -> bytes:
        """envoy.service.discovery.v3.DiscoveryResponse in JSON."""
        return json.dumps({"version_info": self.version, "resources": self.resources}).encode()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What this edge shows to others, and whom it believes. `folder` holds cert.pem and key.pem, which lead through a
    link in it that is turned; `authority` is a file. Both absolute."""

    trust_domain: str
    folder: Path
    authority: Path


def documents(config: EdgeConfig, paths: Paths) -> Mapping[str, Document]:
    """The documents of `config` by path."""
    return {path: Document(config.version, resources) for path, resources in discovery(config, paths).items()}


class Files:
    """The folder of one edge: `lds/`, `cds/`, `rds/`, `rtds/`, `sds/` (where it talks to other edges), the bootstrap,
    Envoy's socket and log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.bootstrap = self.folder / "bootstrap.json"
        self.log = self.folder / "envoy.log"
        self.process = self.folder / "envoy.process.json"
        self.paths = Paths(
            admin=str(self.folder / "admin.sock"),
            listeners=str(self.folder / "lds" / "listeners.json"),
            clusters=str(self.folder / "cds" / "clusters.json"),
            routes=str(self.folder / "rds" / "routes.json"),
            runtime=str(self.folder / "rtds" / "runtime.json"),
        )
        self.secrets = self.folder / "tls"

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
            self.write(self.paths.runtime, Document("nothing", [runtime_layer({})]))

    def read(self, path: str) -> Document | None:
        """What lies there, or None where nothing does that can be read."""
        try:
            content: dict[str, Any] = json.loads(Path(path).read_bytes())
            snapshot = str(content["version_info"]).rpartition(" ")[0]
            return Document(snapshot, content["resources"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

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
