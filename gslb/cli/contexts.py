"""Named installations: the file of contexts, read and written. Which one a command asks is `server`'s to say."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gslb.errors import HostError, PolicyError, Problem, RefusedError

__all__ = ["Context", "contexts_file", "read_contexts", "require_context", "write_contexts"]

_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """`server` as for `--server`. Files: `ca` whom to believe, and nobody else, `token_file` with a token,
    `client_cert` and `client_key` of a person."""

    server: str
    ca: str | None = None
    token_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


def contexts_file() -> Path:
    """`$XDG_CONFIG_HOME/gslb/contexts.yaml`, by default below `~/.config`."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(home) / "gslb" / "contexts.yaml"


def read_contexts() -> Mapping[str, Context]:
    """By name. Raises HostError where the file cannot be read or others may write it: they would say whom to ask, and
    to whom a token is shown; PolicyError where it does not hold contexts."""
    path = contexts_file()
    try:
        with path.open("rb") as file:
            mode, octets = os.fstat(file.fileno()).st_mode, file.read(_LIMIT_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}", "check its owner and its mode") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise HostError(f"others may write {path}", f"make it yours alone: chmod 600 {path}")
    return _understood(path, octets)


def require_context(name: str) -> Context:
    """Raises RefusedError, rule `unknown-context`."""
    known = read_contexts()
    if name not in known:
        raise RefusedError(
            "unknown-context",
            f"there is no context {name!r}; known: {', '.join(sorted(known)) or 'none'}",
            f"make it: gslb context add {name} --server https://HOST:PORT --token-file FILE",
        )
    return known[name]


def write_contexts(contexts: Mapping[str, Context]) -> None:
    """In place of what was there, whole, mode 0600. Raises HostError."""
    import yaml

    path = contexts_file()
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    given = {
        name: {key: value for key, value in asdict(context).items() if value is not None}
        for name, context in sorted(contexts.items())
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(yaml.safe_dump({"contexts": given}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise HostError(f"{path} cannot be written: {error.strerror}", "check the folder's owner and mode") from None


def _understood(path: Path, octets: bytes) -> Mapping[str, Context]:
    import yaml

    try:
        content = yaml.safe_load(octets)
        contexts = {str(name): Context(**given) for name, given in (content or {}).get("contexts", {}).items()}
        for context in contexts.values():
            if not all(value is None or isinstance(value, str) for value in asdict(context).values()):
                raise TypeError("a value is no text")  # noqa: TRY301 - told with the others
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        remedy = "write contexts: {NAME: {server: https://HOST:PORT, token_file: FILE}}, or use gslb context add"
        raise PolicyError([Problem(str(path), 0, 0, "contexts", f"these are no contexts: {why}", remedy)]) from None
    return contexts
