"""A policy in a git repository: the plain program `git` asked for the newest commit of a branch, and for its files.

A bare copy of one commit lies in the data folder, and is made anew when it grows; there is no work tree, and no link is
followed. Everything is bounded: time, octets, files. What a commit means is not decided here.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gslb.control.followed import TRAILER, Commit
from gslb.errors import HostError, PolicyError, Problem, RefusedError
from gslb.model.reader import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES
from gslb.model.zones import SUFFIX

__all__ = ["GitCopy", "GitSource", "parse_source"]

TIMEOUT_S = 60.0
LIMIT_BYTES = 256 * 2**20
"""Of any file that git writes: a pack of one commit, and what it prints."""
_PACKS = 50
"""More, and the copy is made anew: each fetch leaves one."""
_PGP = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_WANTED = "refs/gslb/wanted"
_BRANCH = re.compile(r"(?!.*(\.\.|//|@\{|\.lock$))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,200}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_AUTHOR, _SUBJECT = 59, 200
_ALWAYS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.bigFileThreshold=16m", "fetch.fsckObjects=true",
    "fetch.unpackLimit=1", "gc.auto=0", "log.showSignature=false", "protocol.ext.allow=never",
    "gpg.x509.program=/bin/false",
)  # fmt: skip
_SIGNATURES = {
    "B": "a bad signature",
    "X": "an expired signature",
    "Y": "no valid signature",
    "R": "no valid signature",
}
_FORMAT = "%x00".join(("%H", "%an", "%s", f"%(trailers:key={TRAILER},valueonly=true,unfold=true,separator=%x01)"))


@dataclass(frozen=True, slots=True)
class GitSource:
    """`repository` is a URL or a path as git takes it, `branch` empty for the one that its HEAD names, `folder` where
    the policy lies in it, empty for its root."""

    repository: str
    branch: str = ""
    folder: str = ""

    def __str__(self) -> str:
        branch = f"#{self.branch}" if self.branch or self.folder else ""
        return self.repository + branch + (f":{self.folder}" if self.folder else "")


def parse_source(text: str) -> GitSource:
    """Reads REPO[#[BRANCH][:FOLDER]]. Raises HostError."""
    repository, _, rest = text.partition("#")
    branch, _, folder = rest.partition(":")
    folder = folder.strip("/")
    if not repository or repository.startswith("-") or _CONTROL.search(text):
        raise HostError(f"{text!r} names no repository", "write a URL or a path: REPO[#BRANCH][:FOLDER]")
    if re.match(r"[a-z+]+://[^/@]*:[^/@]*@", repository):
        raise HostError(
            "the repository's URL holds a password, which everybody on this machine could read",
            "leave it out, and give it to git: a credential helper in ~/.gitconfig, or a deploy key for ssh",
        )
    if branch and not _BRANCH.fullmatch(branch):
        raise HostError(f"{branch!r} is no branch", "write its name alone, such as main: REPO#main:policies")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise HostError(f"{folder!r} is no folder of a repository", "write a path below its root, such as policies")
    return GitSource(repository, branch, folder)


class GitCopy:
    """`folder` is our own, made when it is needed. `keys`: a file with who may sign, OpenPGP public keys (armored) or
    ssh's allowed signers; None: signatures are not looked at.

    Every method blocks, a minute at most for each question, and raises HostError where git or the repository is in the
    way.
    """

    def __init__(self, source: GitSource, folder: Path, keys: Path | None = None) -> None:
        self._source = source
        self._folder = folder
        self._copy = folder / "copy.git"
        self._keys = keys

    def newest(self) -> str:
        """Fetches; the id of the commit that the branch is at."""
        self._require_copy()
        ref = f"refs/heads/{self._source.branch}" if self._source.branch else "HEAD"
        self._git(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-gc",
            "--no-write-fetch-head", "--", self._source.repository, f"+{ref}:{_WANTED}",
        )  # fmt: skip
        return self._git("rev-parse", "--verify", f"{_WANTED}^{{commit}}").decode().strip()

    def commit(self, commit_id: str) -> Commit:
        """What it says of itself, unverified."""
        said = self._git("show", "-s", "--encoding=UTF-8", f"--format={_FORMAT}", commit_id).decode("utf-8", "replace")
        found, author, subject, trailers = said.rstrip("\n").split("\0", 3)
        return Commit(
            id=found,
            author=f"git: {_plain(author)[:_AUTHOR]}",
            subject=_plain(subject)[:_SUBJECT],
            trailers=tuple(_plain(text)[:_SUBJECT] for text in trailers.split("\x01") if text.strip()),
        )

    def signer(self, commit_id: str) -> str:
        """The fingerprint of the key that signed it; empty where nobody asks. Raises RefusedError, rule `signature`."""
        if self._keys is None:
            return ""
        with tempfile.TemporaryDirectory(dir=self._folder) as home:
            trusted = self._trust(Path(home))
            said = self._git("show", "-s", "--format=%G?%x00%GF", commit_id, trusted=trusted)
            verdict, _, fingerprint = said.decode("utf-8", "replace").strip().partition("\0")
            try:
                self._git("verify-commit", commit_id, trusted=trusted)
            except HostError:  # whose exit code alone tells keys of the file from others, for both kinds
                raise RefusedError(
                    "signature",
                    f"the commit has {_SIGNATURES.get(verdict, 'no signature')} by a key of {self._keys}",
                    "sign it (git commit -S) with such a key, or add the key to the file",
                ) from None
        return fingerprint

    def files(self, commit_id: str) -> Mapping[str, bytes]:
        """The octets of every policy file, by its path in the repository. Raises PolicyError."""
        prefix = f"{self._source.folder}/" if self._source.folder else ""
        listed = self._git("ls-tree", "-z", "-l", commit_id, "--", prefix or ".")
        wanted = dict(_policy_files(listed.decode("utf-8", "replace"), prefix, str(self._source)))
        octets = self._git("cat-file", "--batch", sent="".join(f"{blob}\n" for blob in wanted.values()).encode())
        return dict(zip(wanted, _blobs(octets), strict=True))

    def _require_copy(self) -> None:
        """Nothing is in it that cannot be fetched again. A lock that lies there is of a git that was ended: nobody but
        this object works in the copy, one question after the other."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            packs = len(list((self._copy / "objects" / "pack").glob("*.pack")))
            if packs > _PACKS or not (self._copy / "HEAD").exists():
                shutil.rmtree(self._copy, ignore_errors=True)
                self._git("init", "--quiet", "--bare", "--template=", str(self._copy))
            for lock in self._copy.rglob("*.lock"):
                lock.unlink(missing_ok=True)
        except OSError as error:
            raise HostError(
                f"{self._folder} cannot be used: {error.strerror}", "check its owner and the disk"
            ) from None

    def _trust(self, home: Path) -> tuple[str, ...]:
        """Settings by which nobody is believed but the keys of the file, whatever this user's own git believes."""
        assert self._keys is not None
        try:
            octets = self._keys.read_bytes()
        except OSError as error:
            raise HostError(f"{self._keys} cannot be read: {error.strerror}", "check --git-verify") from None
        if not octets.lstrip().startswith(_PGP):
            return f"GNUPGHOME={home}", f"gpg.ssh.allowedSignersFile={self._keys}"
        _run(
            ("gpg", "--batch", "--quiet", "--no-autostart", "--import", str(self._keys)), {"GNUPGHOME": str(home)}, b""
        )
        return f"GNUPGHOME={home}", "gpg.ssh.allowedSignersFile=/dev/null"

    def _git(self, *arguments: str, sent: bytes = b"", trusted: Sequence[str] = ()) -> bytes:
        own = {key: value for key, value in (item.split("=", 1) for item in trusted) if key.isupper()}
        settings = [*_ALWAYS, *(item for item in trusted if not item.split("=", 1)[0].isupper())]
        given = [part for setting in settings for part in ("-c", setting)]
        return _run(("git", *given, "--git-dir", str(self._copy), *arguments), own, sent)


def _run(command: Sequence[str], own: Mapping[str, str], sent: bytes) -> bytes:
    """What it prints. No shell, no questions at a terminal, no longer than a minute, no file over the limit."""
    kept = (
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_SSL_CAINFO",
    )
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in kept}
    ssh = {} if "GIT_SSH" in inherited else {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10"}
    environment = {**ssh, **inherited, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **own}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(sent)
        given.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=err, env=environment, start_new_session=True, cwd="/"
            )
        except OSError as error:
            raise HostError(f"{command[0]} cannot be run: {error.strerror}", f"install {command[0]}") from None
        with contextlib.suppress(ProcessLookupError):  # it may be over already
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))
        try:
            code = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise HostError(
                f"{command[0]} took longer than {TIMEOUT_S:g} s", "is the repository's server reachable?"
            ) from None
        if code:
            raise HostError(
                f"git says: {_last_words(err, code)}", "try it by hand as the user that runs gslb: git fetch REPO"
            )
        out.seek(0)
        return out.read(LIMIT_BYTES)


def _last_words(err: BinaryIO, code: int) -> str:
    err.seek(0)
    lines = [_plain(line.decode("utf-8", "replace")) for line in err.read(65_536).splitlines() if line.strip()]
    said = "; ".join(line.removeprefix("fatal: ") for line in lines)[:500]
    return said or (f"nothing, and ended by signal {-code}" if code < 0 else f"nothing, and ended with {code}")


def _policy_files(listed: str, prefix: str, source: str) -> Sequence[tuple[str, str]]:
    """Paths with the ids of their blobs. Raises PolicyError: what is no plain file, and what is too much."""
    found: list[tuple[str, str]] = []
    problems: list[Problem] = []
    total = 0
    for entry in filter(None, listed.split("\0")):
        about, _, path = entry.partition("\t")
        mode, _, blob, size = about.split()
        name = path.removeprefix(prefix)
        if not name.endswith((".yaml", SUFFIX)) or name.startswith("."):
            continue
        if not mode.startswith("100"):
            remedy = "commit the file itself, or take it out of the folder"
            problems.append(Problem(path, 0, 0, "unreadable", "this is a link or a folder, not a file", remedy))
            continue
        total += int(size)
        found.append((path, blob))
        if int(size) > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES or len(found) > MAX_FILES:
            limits = f"{MAX_FILE_BYTES // 2**20} MiB a file, {MAX_TOTAL_BYTES // 2**20} MiB, {MAX_FILES:,} files"
            raise PolicyError([Problem(path, 0, 0, "folder", f"too much for a policy: {limits}", "make it smaller")])
    if not any(path.endswith(".yaml") for path, _ in found) and not problems:
        remedy = "name the policy folder: --git REPO#BRANCH:FOLDER"
        problems.append(Problem(source, 0, 0, "folder", "no *.yaml file is in this folder", remedy))
    if problems:
        raise PolicyError(problems)
    return found


def _blobs(batch: bytes) -> Sequence[bytes]:
    """What `git cat-file --batch` has printed: a line with the size, the octets, a newline; for each object."""
    blobs: list[bytes] = []
    place = 0
    while place < len(batch):
        end = batch.index(b"\n", place)
        size = int(batch[place:end].rsplit(b" ", 1)[1])
        blobs.append(batch[end + 1 : end + 1 + size])
        place = end + 1 + size + 1
    return blobs


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()
