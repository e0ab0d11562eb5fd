"""Which machines belong to the installation, which role processes run on them, and where those are reached. Pure.

One document of the store a machine, `machines/NAME`, written when it joins. A machine that is taken out keeps its
document, with another state: numbers of documents only ever rise, and so does that of the roster that is made of them.
Reading and writing documents is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, ValidationError

from gslb.control.protocol import Message, Peer

__all__ = ["FOLDER", "Machine", "Registry", "document_name", "peer_of", "registry_of"]

FOLDER = "machines"
"""Of the documents."""


class Machine(Message):
    """`processes`: by name (`dns`, `edge-SITE`) the URL of the node endpoint, `https://HOST:PORT`; `control`: that of
    its control's API; empty: it has none that others reach. `sites`: of all its edges, `site` the first of them.
    `joined_at`: Unix seconds."""

    name: str
    roles: tuple[str, ...] = ()
    site: str | None = None
    sites: tuple[str, ...] = ()
    processes: Mapping[str, str] = {}
    control: str = ""
    joined_at: float = Field(0.0, ge=0)
    joined_by: str = ""
    state: Literal["active", "removed"] = "active"


@dataclass(frozen=True, slots=True)
class Registry:
    """`number` rises with every change of any machine, and is the same for all who read the same. `damaged`: names of
    documents that do not read; their machines are as good as unknown."""

    number: int = 0
    machines: Mapping[str, Machine] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    def active(self) -> Iterable[Machine]:
        """Those that belong to the installation, by name."""
        return (machine for _, machine in sorted(self.machines.items()) if machine.state == "active")

    def removed(self) -> tuple[str, ...]:
        """Names of those that belonged to it once."""
        return tuple(name for name, machine in sorted(self.machines.items()) if machine.state == "removed")


def document_name(machine: str) -> str:
    return f"{FOLDER}/{machine}"


def registry_of(documents: Iterable[tuple[str, int, bytes | None]]) -> Registry:
    """From all documents of FOLDER, each a name with its number and value."""
    machines: dict[str, Machine] = {}
    damaged: list[str] = []
    total = 0
    for name, number, value in documents:
        total += number
        if value is None:
            continue
        try:
            machine = Machine.model_validate_json(value)
        except ValidationError:
            machine = None
        if machine is None or document_name(machine.name) != name:
            damaged.append(name)
        else:
            machines[machine.name] = machine
    return Registry(total, machines, tuple(sorted(damaged)))


def peer_of(machine: Machine, process: str, trust_domain: str) -> Peer:
    """A role process of `machine` as others reach it, with the SPIFFE id that it shows."""
    role, _, site = process.partition("-")
    path = f"edge/{site}" if role == "edge" else role
    return Peer(
        name=f"{machine.name}/{process}",
        role="edge" if role == "edge" else "observer" if role == "observer" else "dns",
        site=site or machine.site,
        address=machine.processes[process],
        spiffe=f"spiffe://{trust_domain}/{machine.name}/{path}",
    )
