"""How a machine joins an installation: identity, trust and configuration in one step. Synchronous, for a command.

Who answers at the control's address is believed when it shows the root whose hash is in the token, and a control's
certificate below it; until then nothing is sent. Keys are made here and stay here.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from gslb import clock
from gslb.control.bodies.join_messages import JoinAnswer
from gslb.errors import GslbError, HostError, RefusedError
from gslb.model.words import parse_endpoint
from gslb.roles.identities.trust_home import COPY, new_key
from gslb.trust.authority import certificates_of, make_request, require_chain, root_hash
from gslb.trust.identity_files import (
    CA,
    Control,
    IdentityFolder,
    MachineFile,
    read_machine,
    trust_folder,
    write_files,
    write_machine,
)
from gslb.trust.join import JoinToken
from gslb.trust.private_files import make_folder, write_private
from gslb.trust.spiffe import parse_spiffe
from gslb.trust.tls import IDENTITY_NAME, only_trusting, peer_uri

__all__ = ["Joiner", "join"]

TIMEOUT_S = 20.0
LIMIT_BYTES = 4 * 1024 * 1024
_TAKEN = frozenset(
    {
        "dns/cookie.secret", "dnssec.secret",
        *(f"trust/{name}" for name in ("signers.json", "installation.secret", "signing.key", COPY)),
    }
)  # fmt: skip
"""The files that a control may give."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """What the machine that joins says of itself. `address` is HOST:PORT of its node endpoints, `api` the URL of its
    control; None: it has none."""

    name: str
    data: Path
    address: str | None = None
    api: str | None = None


def join(token: JoinToken, control: str, joiner: Joiner) -> MachineFile:
    """Joins by `token` at the URL of a control. What this machine is from now on.

    Raises RefusedError as control does, and rules `join-root`, `joined`; HostError where control cannot be asked, or
    files cannot be written. Whatever is raised before the answer leaves this machine as it was.
    """
    trust = trust_folder(joiner.data)
    _require_free(trust, joiner)
    keys = {process: new_key() for process in token.processes}
    roots = _roots(control, token)
    wanted = {
        "id": token.id,
        "secret": token.secret_text,
        "machine": joiner.name,
        "requests": {process: make_request(key) for process, key in keys.items()},
        "address": joiner.address,
        "api": joiner.api,
    }
    answer = _joined(_call(control, "POST", "/v1/join", wanted, roots))
    for process, key in keys.items():
        _require_own(answer, process, key)
    return _write(trust, joiner, answer, keys)


def _require_free(trust: Path, joiner: Joiner) -> None:
    known = read_machine(trust)
    if known is not None and known.machine != joiner.name:
        raise RefusedError(
            "joined",
            f"this machine has joined {known.domain} already, as {known.machine}",
            f"keep its name (--name {known.machine}), or give it another folder: --data DIR",
        )
    make_folder(joiner.data)


def _roots(control: str, token: JoinToken) -> str:
    """The roots of the installation, in PEM, once the token has vouched for one of them. Nothing secret was sent."""
    open_to_all = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    open_to_all.minimum_version = ssl.TLSVersion.TLSv1_3
    open_to_all.check_hostname = False
    open_to_all.verify_mode = ssl.CERT_NONE  # what it answers is public, and compared with the hash in the token
    told = _call(control, "GET", "/v1/trust", None, open_to_all)
    roots = str(told.get("roots", "")) if isinstance(told, dict) else ""
    try:
        vouched = any(root_hash(root) == token.root_hash for root in certificates_of(roots))
    except RefusedError:
        vouched = False
    if not vouched:
        raise RefusedError(
            "join-root",
            f"who answers at {control} is not the installation that the token is from",
            "check --control; if it is right, somebody stands between: nothing was told to them",
        )
    return roots


def _call(control: str, method: str, path: str, body: Mapping[str, Any] | None, trusted: str | ssl.SSLContext) -> Any:
    """The JSON that control answers. `trusted`: roots in PEM, below which it must show a control's certificate."""
    host, port = _address(control)
    context = only_trusting(trusted) if isinstance(trusted, str) else trusted
    connection = _Connection(host, port, context)
    try:
        connection.connect()
        if isinstance(trusted, str):
            _require_control(connection, control)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        response = connection.getresponse()
        status, answer = response.status, json.loads(response.read(LIMIT_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
        raise HostError(
            f"control at {control} cannot be asked: {why}", "is it running, and reachable? --control https://HOST:PORT"
        ) from None
    finally:
        connection.close()
    if status == http.HTTPStatus.OK:
        return answer
    raise _refusal(control, status, answer if isinstance(answer, dict) else {})


class _Connection(http.client.HTTPSConnection):
    """Asks for the certificate that has the SPIFFE id, by IDENTITY_NAME."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S, context=context)
        self._own_context = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._own_context.wrap_socket(self.sock, server_hostname=IDENTITY_NAME)


def _require_control(connection: http.client.HTTPSConnection, control: str) -> None:
    """The chain was checked; is it a control's? Raises RefusedError, rule `join-root`."""
    assert isinstance(connection.sock, ssl.SSLSocket)
    uri = peer_uri(connection.sock.getpeercert()) or ""
    try:
        kind = parse_spiffe(uri).kind
    except RefusedError:
        kind = None
    if kind != "control":
        raise RefusedError("join-root", f"{uri or 'nobody known'} answers at {control}, no control", "check --control")


def _address(control: str) -> tuple[str, int]:
    scheme, _, rest = control.partition("://")
    try:
        return parse_endpoint(rest.rstrip("/") if scheme == "https" else "")
    except ValueError:
        raise HostError(f"{control} is no control's URL", "write --control https://HOST:PORT") from None


def _refusal(control: str, status: int, answer: Mapping[str, Any]) -> GslbError:
    said, remedy = str(answer.get("detail", f"HTTP status {status}")), str(answer.get("remedy", "see its log"))
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return HostError(f"control at {control}: {said}", remedy)
    return RefusedError(str(answer.get("rule", f"http-{status}")), said, remedy)


def _joined(answer: Any) -> JoinAnswer:
    try:
        return JoinAnswer.model_validate(answer)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_input=False))
        raise HostError(f"control answers what this gslb does not understand ({fields})", "run the same gslb") from None


def _require_own(answer: JoinAnswer, process: str, key: ec.EllipticCurvePrivateKey) -> None:
    """The certificate is for this process and its key, below the roots that came with it."""
    chain = certificates_of(answer.certificates.get(process, ""))
    identity = require_chain(chain, certificates_of(answer.roots), clock.wall_s())
    if (identity.name, identity.process) != (answer.machine, process) or chain[0].public_key() != key.public_key():
        raise RefusedError("certificate", f"control sent no certificate for {process}", "see control's log")


def _write(
    trust: Path, joiner: Joiner, answer: JoinAnswer, keys: Mapping[str, ec.EllipticCurvePrivateKey]
) -> MachineFile:
    """`machine.json` last: until then this machine has not joined."""
    files = {name: base64.b64decode(octets) for name, octets in answer.files.items() if name in _TAKEN}
    write_files(joiner.data, files)
    make_folder(trust)
    write_private(trust / CA, answer.roots.encode())
    for process, key in keys.items():
        IdentityFolder(trust, process).write(key, answer.certificates[process])
    machine = MachineFile(
        machine=answer.machine,
        domain=answer.domain,
        roles=tuple(answer.roles),
        sites=tuple(answer.sites),
        address=parse_endpoint(joiner.address) if joiner.address else None,
        api=joiner.api,
        controls=tuple(Control.model_validate(control.model_dump()) for control in answer.controls),
    )
    write_machine(trust, machine)
    return machine
