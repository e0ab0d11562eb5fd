"""What is done by hand on a control's machine: beginning an installation, a new issuer, certificates for people and
servers. Synchronous, for commands; a control that runs sees it in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from gslb import clock
from gslb.control.installation.enrolment import hosts_of, record_of
from gslb.errors import HostError, RefusedError
from gslb.model.words import format_endpoint, iso, parse_endpoint
from gslb.roles.identities.secret_file import cookie_secret, dnssec_secret, installation_secret
from gslb.roles.identities.trust_home import ROOT_KEY, TrustHome, home_at, new_issuer, new_key, new_serial
from gslb.roles.settings import Settings
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
from gslb.trust.spiffe import parse_spiffe, process_id, require_machine_name
from gslb.trust.state import Operator, TrustState, key_hash

__all__ = [
    "Beginning", "Person", "begin", "export", "issue_operator", "issue_server", "renew", "revoke_operator", "settle",
]  # fmt: skip

ROOT = "root.pem"


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first control's machine. `sites` are those of its edges, as far as they are known; `every_site`: the edges of
    all sites of the policy run here, whichever those will be. `api` is its URL, `address` HOST:PORT of its nodes; None:
    no other machine reaches them. `replace`: whatever trust the store of the installation holds ends with this."""

    domain: str
    name: str
    roles: tuple[str, ...]
    sites: tuple[str, ...]
    api: str | None
    address: str | None
    data: Path
    life_s: float = IDENTITY_LIFE_S
    replace: bool = False
    store: str | None = None
    every_site: bool = False


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
    for process in machine.processes:
        _certify(issuer, trust, machine, process, state.life_s)
    home.replace(state) if wanted.replace else home.keep(state)
    write_machine(trust, machine)
    return {
        "root": root_hash(root.certificate).hex(),
        "root_key": str(trust / ROOT_KEY),
        "root_ends": iso(lifetime_s(root.certificate)[1]),
        "issuer_ends": iso(state.issuer_ends_s()),
    }


def settle(settings: Settings) -> None:
    """Before role processes start on a control's machine with an identity: each has a certificate that is good, for
    whichever sites they are, also of a policy that has more of them than the one before. They renew it by themselves.

    What others reach this machine at is taken from the command line where nobody has told yet. What cannot be done now
    is complained of, and left to the processes. Raises HostError where the identity of this machine does not read.
    """
    before = read_machine(settings.trust)
    if before is None or "control" not in before.roles or "control" not in settings.roles:
        return
    machine = _running(before, settings)
    if machine != before:
        write_machine(settings.trust, machine)
    moved = (machine.api, machine.address) != (before.api, before.address)
    try:
        home = TrustHome(settings.data, None)
        state = home.read()
        for process in machine.processes:
            if moved or not _is_good(IdentityFolder(settings.trust, process)):
                _certify(home.signing(state), settings.trust, machine, process, state.life_s)
    except (HostError, RefusedError) as error:
        structlog.get_logger().error(
            "not every role has a certificate yet; they ask for one", why=error.message, remedy=error.remedy
        )


def renew(data: Path, store: str | None, root_key: Path, author: str) -> str:
    """A new issuer, signed by the root whose key is in the file. Until when it is good, in ISO 8601.

    Raises RefusedError, rules `key`, `root-key`, `no-identity`; HostError.
    """
    home = home_at(data, store)
    key = key_from_pem(read_private(root_key))
    root = _root_of(home.read(), key)
    issuer = new_issuer(root, home.read().domain, clock.wall_s())
    home.record(author, "issuer", "a new issuer signs certificates")
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
    apps = "".join(f" --app {app}" for app in person.apps)
    home.record(person.author, "issue-operator", f"{person.name} --role {person.role}{apps}", person.reason)
    home.change(lambda before: before.with_operator(person.name, known))
    return iso(ends_s)


def issue_server(home: TrustHome, name: str, hosts: Sequence[str], *, life_s: float, folder: Path, author: str) -> str:
    """Until when it is good, in ISO 8601. Raises as `issue_operator`."""
    state = home.read()
    subject = Subject.of(parse_spiffe(f"spiffe://{state.domain}/server/{name}"), hosts)
    home.record(author, "issue-server", f"{name} for {', '.join(hosts)}")
    return iso(_issue(home, state, (new_key(), subject, life_s), folder))


def revoke_operator(data: Path, store: str | None, name: str, author: str) -> None:
    """Raises RefusedError, rule `unknown-operator`, and HostError."""
    home = home_at(data, store)
    known = home.read().operators
    if name not in known:
        raise RefusedError(
            "unknown-operator", f"nobody called {name} has a certificate", f"there are: {', '.join(known) or 'none'}"
        )
    home.record(author, "revoke-operator", name)
    home.change(lambda state: state.with_operator(name, None))


def _first_machine(wanted: Beginning) -> MachineFile:
    require_machine_name(wanted.name)
    spiffe = process_id(wanted.domain, wanted.name, "control").uri
    known = [role for role in wanted.roles if role != "edge" or wanted.sites or not wanted.every_site]
    processes_of(known or wanted.roles, wanted.sites)
    if "control" not in wanted.roles:
        raise RefusedError("join-roles", "the first machine needs a control", "write --roles control,dns")
    try:
        if wanted.api is not None:
            parse_endpoint(wanted.api.removeprefix("https://") if wanted.api.startswith("https://") else "")
        address = parse_endpoint(wanted.address) if wanted.address else None
    except ValueError as error:
        raise RefusedError("join-address", str(error), "write --api https://HOST:PORT --address HOST:PORT") from None
    return MachineFile(
        machine=wanted.name, domain=wanted.domain, roles=wanted.roles, sites=wanted.sites, address=address,
        every_site=wanted.every_site, api=wanted.api,
        controls=(Control(url=wanted.api, spiffe=spiffe),) if wanted.api else (),
    )  # fmt: skip


def _running(machine: MachineFile, settings: Settings) -> MachineFile:
    """`machine` as it is with what runs there now. What it was begun or joined with stays."""
    every = "edge" in settings.roles and settings.every_site
    more = settings.sites if "edge" in settings.roles else ()
    return machine.model_copy(
        update={
            "roles": tuple(dict.fromkeys((*machine.roles, *settings.roles))),
            "sites": more if every else tuple(dict.fromkeys((*machine.sites, *more))),
            "every_site": machine.every_site or every,
            "api": machine.api or (f"https://{format_endpoint(*settings.api)}" if _is_told(settings.api) else None),
            "address": machine.address or (settings.node if settings.node and _is_told(settings.node) else None),
        }
    )


def _is_told(address: tuple[str, int]) -> bool:
    """Whether others reach this machine there."""
    host, port = address
    try:
        ip = ip_address(host)
    except ValueError:
        return host != "localhost" and port != 0
    return not (ip.is_loopback or ip.is_unspecified) and port != 0


def _is_good(files: IdentityFolder) -> bool:
    try:
        pair = files.read()
    except HostError:
        return False
    return pair is not None and clock.wall_s() < pair.ends_s


def _certify(issuer: Authority, trust: Path, machine: MachineFile, process: str, life_s: float) -> None:
    """The first certificate of a process of this machine. Its next ones come from control."""
    key, now_s = new_key(), clock.wall_s()
    identity = process_id(machine.domain, machine.machine, process)
    subject = Subject.of(identity, hosts_of(record_of(machine, now_s), identity))
    leaf = make_leaf(issuer, key.public_key(), subject, new_serial(), now_s, life_s)
    IdentityFolder(trust, process).write(key, pem_of(leaf, issuer.certificate))


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
