"""What is done by hand on a control's machine: beginning an installation, a new issuer, certificates for people and
servers. Synchronous, for commands; a control that runs sees it in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from gslb import clock
from gslb.control.enrolment import hosts_of, record_of
from gslb.errors import HostError, RefusedError
from gslb.model.words import iso, parse_endpoint
from gslb.roles.secret_file import cookie_secret, dnssec_secret, installation_secret
from gslb.roles.trust_home import ROOT_KEY, TrustHome, home_at, new_issuer, new_key, new_serial
from gslb.snapshot.intent import AccessRole, Provenance
from gslb.trust.authority import (
    IDENTITY_LIFE_S,
    Authority,
    Subject,
    certificates_of,
    key_from_pem,
    key_to_pem,
    lifetime_s,
    make_leaf,
    make_root,
    pem_of,
    root_hash,
)
from gslb.trust.identity_files import (
    CA,
    Control,
    IdentityFolder,
    MachineFile,
    read_machine,
    trust_folder,
    write_machine,
)
from gslb.trust.join import processes_of
from gslb.trust.private_files import make_folder, read_private, write_private
from gslb.trust.signer_files import TrustFolder
from gslb.trust.spiffe import SpiffeId, parse_spiffe, process_id, require_machine_name
from gslb.trust.state import Operator, TrustState, key_hash

__all__ = [
    "Beginning", "Person", "begin", "export", "issue_operator", "issue_server", "renew", "revoke_operator",
]  # fmt: skip

ROOT = "root.pem"


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first control's machine. `api` is its URL, `address` HOST:PORT of its nodes or None. `replace`: whatever
    trust the store of the installation holds ends with this."""

    domain: str
    name: str
    roles: tuple[str, ...]
    sites: tuple[str, ...]
    api: str
    address: str | None
    data: Path
    life_s: float = IDENTITY_LIFE_S
    replace: bool = False
    store: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Whose client certificate is wanted, and who wants it. `folder` takes the files."""

    name: str
    role: AccessRole
    apps: tuple[str, ...]
    life_s: float
    reason: str
    author: str
    folder: Path
    data: Path
    store: str | None = None


def begin(wanted: Beginning) -> dict[str, str]:
    """Makes root, issuer, secrets and this machine's certificates. Times are ISO 8601.

    Raises RefusedError, rule `identity-exists` where there is any of it already, `join-roles`, `machine-name`,
    `spiffe-id`; HostError.
    """
    trust, now_s = trust_folder(wanted.data), clock.wall_s()
    machine = _first_machine(wanted)
    home = home_at(wanted.data, wanted.store) if wanted.replace else TrustHome(wanted.data, None)
    if home.copy() is not None or read_machine(trust) is not None or (trust / ROOT_KEY).exists():
        raise RefusedError(
            "identity-exists",
            f"there is an authority in {trust} already",
            f"nothing was changed. To begin anew, move {trust} away, and say --replace",
        )
    make_folder(trust)
    installation_secret(trust).make_if_missing()
    TrustFolder(trust).make(wanted.name)
    dnssec_secret(None, wanted.data).make_if_missing()
    cookie_secret(None, make_folder(wanted.data / "dns"))
    root = make_root(new_key(), wanted.domain, new_serial(), now_s)
    issuer = new_issuer(root, wanted.domain, now_s)
    sealed = home.sealed(issuer, pem_of(issuer.certificate))
    state = TrustState(domain=wanted.domain, roots=(pem_of(root.certificate),), issuers=(sealed,), life_s=wanted.life_s)
    write_private(trust / ROOT_KEY, key_to_pem(root.key))
    write_private(trust / CA, state.bundle.encode())
    for process in processes_of(machine.roles, machine.sites):
        identity = process_id(state.domain, machine.machine, process)
        _certify(issuer, IdentityFolder(trust, process), machine, identity, state.life_s)
    home.replace(state) if wanted.replace else home.keep(state)
    write_machine(trust, machine)
    return {
        "root": root_hash(root.certificate).hex(),
        "root_key": str(trust / ROOT_KEY),
        "root_ends": iso(lifetime_s(root.certificate)[1]),
        "issuer_ends": iso(state.issuer_ends_s()),
    }


def renew(data: Path, store: str | None, root_key: Path) -> str:
    """A new issuer, signed by the root whose key is in the file. Until when it is good, in ISO 8601.

    Raises RefusedError, rules `key`, `root-key`, `no-identity`; HostError.
    """
    home = home_at(data, store)
    key = key_from_pem(read_private(root_key))
    root = _root_of(home.read(), key)
    issuer = new_issuer(root, home.read().domain, clock.wall_s())
    sealed = home.sealed(issuer, pem_of(issuer.certificate))
    return iso(home.change(lambda state: state.issued_by(sealed)).issuer_ends_s())


def export(data: Path, folder: Path) -> Path:
    """Copies the root's key and certificate, and reads them back. Where the key lies. Raises HostError."""
    key = trust_folder(data) / ROOT_KEY
    if not key.exists():
        raise HostError(f"the root's key is not in {key}", "it was taken away already: look where it was taken to")
    private = key_from_pem(read_private(key))
    root = _root_of(home_at(data).read(), private)
    make_folder(folder)
    write_private(folder / ROOT_KEY, key_to_pem(private))
    write_private(folder / ROOT, pem_of(root.certificate).encode())
    again = Authority(certificates_of((folder / ROOT).read_text())[0], key_from_pem(read_private(folder / ROOT_KEY)))
    assert again.certificate == root.certificate
    return key


def issue_operator(person: Person) -> str:
    """Until when it is good, in ISO 8601. Raises HostError, RefusedError: `spiffe-id`, `no-identity`, `expired`."""
    home = home_at(person.data, person.store)
    state, key, now_s = home.read(), new_key(), clock.wall_s()
    subject = Subject(parse_spiffe(f"spiffe://{state.domain}/operator/{person.name}"))
    ends_s = _issue(home, state, (key, subject, person.life_s), person.folder)
    by = Provenance(author=person.author, reason=person.reason, at_s=now_s, expires_s=ends_s)
    known = Operator(role=person.role, apps=person.apps, key=key_hash(key.public_key()), by=by)
    home.change(lambda before: before.with_operator(person.name, known))
    return iso(ends_s)


def issue_server(
    name: str, hosts: Sequence[str], *, life_s: float, folder: Path, data: Path, store: str | None = None
) -> str:
    """Until when it is good, in ISO 8601. Raises as `issue_operator`."""
    home = home_at(data, store)
    state = home.read()
    subject = Subject.of(parse_spiffe(f"spiffe://{state.domain}/server/{name}"), hosts)
    return iso(_issue(home, state, (new_key(), subject, life_s), folder))


def revoke_operator(data: Path, store: str | None, name: str) -> None:
    """Raises RefusedError, rule `unknown-operator`, and HostError."""
    home = home_at(data, store)
    known = home.read().operators
    if name not in known:
        raise RefusedError(
            "unknown-operator", f"nobody called {name} has a certificate", f"there are: {', '.join(known) or 'none'}"
        )
    home.change(lambda state: state.with_operator(name, None))


def _first_machine(wanted: Beginning) -> MachineFile:
    require_machine_name(wanted.name)
    spiffe = process_id(wanted.domain, wanted.name, "control").uri
    processes_of(wanted.roles, wanted.sites)
    if "control" not in wanted.roles:
        raise RefusedError("join-roles", "the first machine needs a control", "write --roles control,dns")
    try:
        parse_endpoint(wanted.api.removeprefix("https://") if wanted.api.startswith("https://") else "")
        address = parse_endpoint(wanted.address) if wanted.address else None
    except ValueError as error:
        raise RefusedError("join-address", str(error), "write --api https://HOST:PORT --address HOST:PORT") from None
    return MachineFile(
        machine=wanted.name, domain=wanted.domain, roles=wanted.roles, sites=wanted.sites, address=address,
        api=wanted.api, controls=(Control(url=wanted.api, spiffe=spiffe),),
    )  # fmt: skip


def _certify(issuer: Authority, files: IdentityFolder, machine: MachineFile, identity: SpiffeId, life_s: float) -> None:
    """The first certificate of a process of this machine. Its next ones come from control."""
    key, now_s = new_key(), clock.wall_s()
    subject = Subject.of(identity, hosts_of(record_of(machine, now_s), identity))
    leaf = make_leaf(issuer, key.public_key(), subject, new_serial(), now_s, life_s)
    files.write(key, pem_of(leaf, issuer.certificate))


def _issue(
    home: TrustHome, state: TrustState, what: tuple[ec.EllipticCurvePrivateKey, Subject, float], folder: Path
) -> float:
    """Writes key, chain and roots. When the certificate ends."""
    key, subject, life_s = what
    issuer = home.signing(state)
    leaf = make_leaf(issuer, key.public_key(), subject, new_serial(), clock.wall_s(), life_s)
    make_folder(folder)
    write_private(folder / "key.pem", key_to_pem(key))
    write_private(folder / "cert.pem", pem_of(leaf, issuer.certificate).encode(), 0o644)
    write_private(folder / CA, state.bundle.encode(), 0o644)
    return lifetime_s(leaf)[1]


def _root_of(state: TrustState, key: ec.EllipticCurvePrivateKey) -> Authority:
    for root in state.root_certificates:
        if root.public_key() == key.public_key():
            return Authority(root, key)
    raise RefusedError(
        "root-key", f"this is no key of a root of {state.domain}", "give the root.key of this installation"
    )
