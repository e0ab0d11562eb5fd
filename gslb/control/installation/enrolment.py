"""What the registry keeps of a machine that joins, and which hosts its certificates name. Pure."""

from __future__ import annotations

from gslb.control.bodies.join_messages import JoinRequest
from gslb.control.installation.registry import Machine
from gslb.errors import RefusedError
from gslb.model.words import format_endpoint, parse_endpoint
from gslb.trust.identity_files import MachineFile
from gslb.trust.join import Ticket, processes_of
from gslb.trust.spiffe import SpiffeId
from gslb.trust.tls import IDENTITY_NAME

__all__ = ["hosts_of", "joined", "parts_of", "processes_in", "record_of"]

_HERE = ("localhost", "127.0.0.1", "::1")


def record_of(machine: MachineFile, wall_s: float) -> Machine:
    """What the registry has of a machine that tells this of itself."""
    nodes = [process for process in machine.processes if process != "control"]
    host, port = machine.address or ("", 0)
    urls = {name: f"https://{format_endpoint(host, port + at)}" for at, name in enumerate(nodes)} if port else {}
    return Machine(
        name=machine.machine,
        roles=tuple(role for role in machine.roles if role != "edge" or machine.sites),
        site=next(iter(machine.sites), None),
        sites=machine.sites,
        processes=urls,
        control=machine.api or "",
        joined_at=wall_s,
    )


def joined(wanted: JoinRequest, ticket: Ticket, wall_s: float) -> Machine:
    """Raises RefusedError, rule `join-address`."""
    if wanted.address is None and set(ticket.roles) - {"control"}:
        raise RefusedError(
            "join-address",
            "the others must know where they reach this machine's nodes",
            "say so: --address HOST:PORT, the first of as many ports as there are role processes",
        )
    if (wanted.api is None) == ("control" in ticket.roles):
        raise RefusedError(
            "join-address", "a control, and nothing else, has an address of its API", "say so: --api https://HOST:PORT"
        )
    machine = MachineFile(
        machine=wanted.machine, domain="", roles=ticket.roles, sites=ticket.sites, api=wanted.api,
        address=parse_endpoint(wanted.address) if wanted.address else None,
    )  # fmt: skip
    return record_of(machine, wall_s).model_copy(update={"joined_by": ticket.by.author})


def processes_in(machine: Machine) -> tuple[str, ...]:
    return processes_of(*parts_of(machine))


def parts_of(machine: Machine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its roles and its sites, also of a machine that was registered before `sites` were."""
    if machine.sites:
        return machine.roles, machine.sites
    sites = [name.removeprefix("edge-") for name in machine.processes if name.startswith("edge-")]
    if not sites and "edge" in machine.roles and machine.site:
        sites = [machine.site]
    return machine.roles, tuple(sites)


def hosts_of(machine: Machine, identity: SpiffeId) -> list[str]:
    """What a process of `machine` is reached by; control also on its own machine."""
    process = identity.process or ""
    url = machine.control if process == "control" else machine.processes.get(process, "")
    host = url.removeprefix("https://").rpartition(":")[0]
    return [*([host] if host else []), *((IDENTITY_NAME, *_HERE) if process == "control" else ())]
