"""Octets sealed under a passphrase, for files that leave the machine: backups and keys of people. Pure.

AES-256-GCM under a key that scrypt makes (RFC 7914). The header says how, is checked before any work is done for it,
and is authenticated with the rest. What is inside is not known here.

    mark (8)  version (1)  log2 N (1)  r (1)  p (1)  salt (16)  nonce (12)  sealed octets with their tag (16)
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gslb.errors import RefusedError

__all__ = ["FRESH_BYTES", "HEADER_BYTES", "LEAST_CHARACTERS", "open_file", "require_strong", "seal_file"]

MARK_BYTES = 8
_VERSION = 1
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 16, 12, 16, 32
FRESH_BYTES = _SALT_BYTES + _NONCE_BYTES
HEADER_BYTES = MARK_BYTES + 4 + FRESH_BYTES
_LOG_N, _R, _P = 17, 8, 1
"""128 MiB and some tenths of a second (OWASP's recommendation for scrypt)."""
_MOST_LOG_N, _MOST_MEMORY = 20, 2**28
"""What a header may ask for: a file from elsewhere must not take the machine's memory."""
LEAST_CHARACTERS = 12


def require_strong(passphrase: str) -> None:
    """Raises RefusedError, rule `passphrase`. Who has the file may try as long as he likes."""
    if len(passphrase) < LEAST_CHARACTERS:
        raise RefusedError(
            "passphrase",
            f"the passphrase has fewer than {LEAST_CHARACTERS} characters",
            "take five words, or openssl rand -base64 24, and keep it where the file is not",
        )


def seal_file(mark: bytes, passphrase: str, octets: bytes, fresh: bytes) -> bytes:
    """A whole file. `mark` (8 octets) says what kind of file it is; `fresh` are FRESH_BYTES random octets that are used
    this once. Raises RefusedError, rule `passphrase`."""
    require_strong(passphrase)
    assert len(mark) == MARK_BYTES
    assert len(fresh) == FRESH_BYTES
    header = mark + bytes((_VERSION, _LOG_N, _R, _P)) + fresh
    key = _key(passphrase, fresh[:_SALT_BYTES], (_LOG_N, _R, _P))
    return header + AESGCM(key).encrypt(fresh[_SALT_BYTES:], octets, header)


def open_file(mark: bytes, passphrase: str, file: bytes, what: str) -> bytes:
    """What `seal_file` has sealed. `what` names the file in errors.

    Raises RefusedError: rule `file-kind` where it is another kind of file, or of a newer gslb; `passphrase`
    where it does not open: another passphrase, or a damaged file.
    """
    if len(file) < HEADER_BYTES + _TAG_BYTES or not file.startswith(mark):
        raise RefusedError("file-kind", f"{what} is not what gslb has written", "name the file that gslb wrote")
    version, log_n, r, p = file[MARK_BYTES : MARK_BYTES + 4]
    if version != _VERSION or not _is_bounded(log_n, r, p):
        raise RefusedError("file-kind", f"{what} was written by a newer gslb, or is damaged", "use that version")
    header, fresh = file[:HEADER_BYTES], file[MARK_BYTES + 4 : HEADER_BYTES]
    key = _key(passphrase, fresh[:_SALT_BYTES], (log_n, r, p))
    try:
        return AESGCM(key).decrypt(fresh[_SALT_BYTES:], file[HEADER_BYTES:], header)
    except InvalidTag:
        raise RefusedError(
            "passphrase", f"{what} does not open: another passphrase, or the file is damaged", "try the right one"
        ) from None


def _is_bounded(log_n: int, r: int, p: int) -> bool:
    return 10 <= log_n <= _MOST_LOG_N and r >= 1 and 1 <= p <= 4 and 128 * r * 2**log_n <= _MOST_MEMORY


def _key(passphrase: str, salt: bytes, work: tuple[int, int, int]) -> bytes:
    log_n, r, p = work
    return Scrypt(salt=salt, length=_KEY_BYTES, n=2**log_n, r=r, p=p).derive(passphrase.encode("utf-8"))
