"""Foreign documents in a policy folder become the same policy: Gateway API, SMI and Istio, by their `apiVersion`.

`translate` makes trees of our own words, with the places of what they were made of; what they may say is then judged
like everything else. What cannot be honoured is an error that names the field, never silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gslb.errors import Problem
from gslb.model.dialects import gateway_api, istio, smi
from gslb.model.dialects.assembly import HostRules, Own, Services, assemble
from gslb.model.dialects.fields import Fields, Told
from gslb.model.tree import Node

__all__ = ["Translated", "translate"]

_VERSIONS = {
    "gateway.networking.k8s.io": {"v1", "v1beta1"},
    "": {"v1"},
    "split.smi-spec.io": {"v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"},
    "specs.smi-spec.io": {"v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"},
    "access.smi-spec.io": {"v1alpha1", "v1alpha2", "v1alpha3"},
    "networking.istio.io": {"v1", "v1beta1", "v1alpha3"},
}


class _Dialect(Protocol):
    def add(self, kind: str, document: Fields) -> None: ...
    def hosts(self) -> Iterable[HostRules]: ...


@dataclass(frozen=True, slots=True)
class Translated:
    """Apps by name: new ones, and those of our own documents that got routes."""

    apps: dict[str, Node]
    problems: tuple[Problem, ...]


def translate(documents: Iterable[Node], root: Node | None) -> Translated:
    """`root` is the merged tree of our own documents, which nobody has checked yet."""
    own, told = Own.of(root), Told()
    services = Services(own, told)
    dialects: tuple[tuple[set[tuple[str, str]], _Dialect], ...] = (
        (gateway_api.KINDS, gateway_api.GatewayApi(own, services, told)),
        (smi.KINDS, smi.Smi(own, services, told)),
        (istio.KINDS, istio.Istio(own, services, told)),
    )
    for document in documents:
        _add(Fields(document, told, ""), dialects, told)
    found = [rules for _, dialect in dialects for rules in dialect.hosts()]
    return Translated(assemble(found, own, told), tuple(dict.fromkeys(told.problems)))


def _add(document: Fields, dialects: Iterable[tuple[set[tuple[str, str]], _Dialect]], told: Told) -> None:
    version, kind = document.text("apiVersion"), document.text("kind")
    group, _, number = version.rpartition("/")
    dialect = next((found for kinds, found in dialects if (group, kind) in kinds), None)
    place = document.key_place("apiVersion")
    if dialect is None:
        message = f"{kind or 'documents without a kind'} of {version} cannot be read"
        known = "Gateway API, SMI and Istio routing are; move this document out of the policy folder"
        told.error(place, "foreign-document", message[:200], known)
    elif number not in _VERSIONS[group]:
        versions = ", ".join(sorted(_VERSIONS[group]))
        told.error(place, "foreign-version", f"{kind} of {version[:80]} cannot be read", f"write one of: {versions}")
    else:
        dialect.add(kind, document)
