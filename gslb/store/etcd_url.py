"""Where an etcd is, and under which prefix an installation rests there: `etcd://HOST:PORT,HOST:PORT/PREFIX`.

Reading and refusing of addresses only: nothing here opens a file or a socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from gslb.errors import HostError

__all__ = ["EtcdUrl", "parse_url"]

DEFAULT_PORT = 2379
DEFAULT_PREFIX = "gslb"
MEMBERS = 9
"""etcd's own documents advise seven members at most."""

_FILES = ("ca", "cert", "key")
_PREFIX = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_ENDPOINT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?")
_EXAMPLE = "write it like etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/gslb, or etcds:// with ?ca=FILE&cert=FILE&key=FILE"  # fmt: skip  # noqa: E501


@dataclass(frozen=True, slots=True)
class EtcdUrl:
    """`endpoints` are (host, port), in the order in which they are tried. With `tls` the members' certificates are
    checked against `ca` (None: those that the machine trusts); `cert` and `key` are shown to them."""

    endpoints: tuple[tuple[str, int], ...]
    prefix: str
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def parse_url(url: str) -> EtcdUrl:
    """Reads `etcd://` and `etcds://` (TLS). The port is 2379 and the prefix `gslb` where none is written.

    Raises HostError, which says what is wrong.
    """
    try:
        parts = urlsplit(url)
        files = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise _wrong(url, str(error)) from None
    if parts.scheme not in {"etcd", "etcds"}:
        raise _wrong(url, "it does not begin with etcd:// or etcds://")
    if parts.fragment:
        raise _wrong(url, "it has a fragment (#)")
    prefix = parts.path.strip("/") or DEFAULT_PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise _wrong(url, f"the prefix {prefix} has other characters than letters, digits, and . _ - /")
    tls = parts.scheme == "etcds"
    _check_files(url, files, tls)
    paths = {name: Path(file) for name, file in files.items()}
    return EtcdUrl(_endpoints(url, parts.netloc), prefix, tls, paths.get("ca"), paths.get("cert"), paths.get("key"))


def _endpoints(url: str, written: str) -> tuple[tuple[str, int], ...]:
    endpoints = []
    for endpoint in written.split(","):
        match = _ENDPOINT.fullmatch(endpoint)
        port = int(match["port"] or DEFAULT_PORT) if match else 0
        if match is None or not 0 < port < 65536:
            raise _wrong(url, f"'{endpoint}' is no HOST:PORT")
        endpoints.append((match["v6"] or match["host"], port))
    if len(endpoints) > MEMBERS or len(set(endpoints)) < len(endpoints):
        raise _wrong(url, f"it names a member twice, or more than {MEMBERS}")
    return tuple(endpoints)


def _check_files(url: str, files: dict[str, str], tls: bool) -> None:
    unknown = sorted(set(files) - set(_FILES))
    if unknown:
        raise _wrong(url, f"it has no option {', '.join(unknown)}")
    if files and not tls:
        raise _wrong(url, "certificates need TLS, which is etcds://")
    if ("cert" in files) != ("key" in files):
        raise _wrong(url, "a client certificate and its key belong together: cert=FILE&key=FILE")
    if not all(Path(file).is_absolute() for file in files.values()):
        raise _wrong(url, "files are named by absolute paths")


def _wrong(url: str, why: str) -> HostError:
    return HostError(f"the store {url} cannot be understood: {why}", _EXAMPLE)
