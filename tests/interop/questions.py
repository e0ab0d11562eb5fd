"""What validators are asked: everything that the policy's zones have, and what lies just beside it."""

import dns.name

from tests.interop.zones import APEX

TYPES = (
    "A", "AAAA", "HTTPS", "TXT", "MX", "CNAME", "DNAME", "NS", "SOA", "DS", "DNSKEY", "CDS", "CDNSKEY", "SRV", "PTR",
    "CAA", "TLSA", "NAPTR", "SVCB", "TYPE65280", "TYPE65281",
)  # fmt: skip
FEW = ("A", "AAAA", "HTTPS", "TXT", "DS")

MADE = [
    f"{label}.{APEX}"
    for label in (
        "x.wild", "x.y.wild", "*.wild", "b.wild", "x.exact.wild", "x.a.b.wild", "x.alias", "y.x.alias", "host.from",
        "no.from", "a.b.from", "no.into", "SHOP", "www.far", "x.far", "www.bare", "x.bare", "x.bare.bare",
    )
]  # fmt: skip
"""Names that wildcards and DNAME make, and those of zones that others serve."""

SAMPLE = [APEX] + [
    f"{label}.{APEX}"
    for label in (
        "shop", "shop--dc", "home", "both", "bound", "four", "a.deep.down", "deep.down", "no", "www", "dangling",
        "x.wild", "x.alias", "host.from", "large", "inner", "shop.inner", "plain", "shop.plain", "www.far", "bare",
        "www.bare", "to-inner",
    )
]  # fmt: skip
"""A name of each kind, where asking for all would take long."""

INSECURE = [f"plain.{APEX}", f"bare.{APEX}"]


def existing(tables):
    """Every name that the tables hold, wildcards and empty non-terminals too."""
    return sorted(dns.name.from_wire(name, 0)[0].to_text(omit_final_dot=True) for name in tables.names)


def neighbours(names):
    """Names that are not there, in canonical order before, behind and below those that are."""
    made = set()
    for name in names:
        label, _, rest = name.partition(".")
        if name == APEX or label == "*":
            rest, label = name, "0"
        made |= {f"0{label}.{rest}", f"{label}-.{rest}", f"{label}0.{rest}", f"zz.{name}"}
    return sorted(made - set(names))


MADE_BY_DNAME = {f"{label}.from.{APEX}" for label in ("host", "no", "a.b")} | {f"to-from.{APEX}"}


def is_odd(name, qtype):
    """Where unbound 1.17 looks for the signature of a CNAME that a DNAME means, which has none on any server: that very
    type was asked for."""
    return name in MADE_BY_DNAME and qtype in ("CNAME", "DNAME")


def is_insecure(name, qtype):
    """Whether no chain of trust leads there. That there is no DS record is said by the secure zone above."""
    lower = name.lower()
    return any(lower.endswith(f".{apex}") or (lower == apex and qtype != "DS") for apex in INSECURE)
