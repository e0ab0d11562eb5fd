"""What an installation is told by its command line: folders, addresses, roles. Policy never stands here."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from gslb.control.installation.waves import BAKE_S
from gslb.control.protocol import role_name
from gslb.model.words import IpNetwork
from gslb.store import SQLITE
from gslb.trust.signer_files import FOLDER

__all__ = ["DnsSettings", "Settings"]


class DnsSettings(BaseModel):
    """How DNS is spoken. `threads` None: one per core, where C answers. `rate_limit`: like answers a second for one
    network; 0: no limit. `cookie_secret` None: one in the data folder. `proxied` are addresses where only `proxies` are
    listened to. `identity` empty: not told. `log` (a file, or - for stderr) and `log_dnstap` (a file, or unix:PATH)
    None: no query log; else it has one query in `log_sample`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wire: Literal["auto", "native", "python"] = "auto"
    threads: int | None = None
    rate_limit: int = 0
    rate_limit_exempt: tuple[IpNetwork, ...] = ()
    cookie_secret: Path | None = None
    ecs: bool = True
    identity: str = ""
    tell_version: bool = False
    proxied: tuple[tuple[str, int], ...] = ()
    proxies: tuple[IpNetwork, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    log: str | None = None
    log_dnstap: str | None = None
    log_sample: int = 1000
    log_full_addresses: bool = False


class Settings(BaseModel):
    """Written to `settings.json` in the runtime folder by the supervisor, read by every role.

    `runtime` holds sockets and locks and may vanish at a reboot; `data` holds what must survive. With `foreground`
    an edge role ends its Envoy when it stops; otherwise Envoy goes on serving and is adopted later. `dnssec_secret`
    None: a file in `data`. `certificates`: where those that clients see lie; None: a folder in `data`. `store` is where
    the Intent rests: `sqlite`, a file in `data`, or the URL of an etcd.
    `git` is a repository that is followed in place of a folder, as `git.parse_source` reads it.
    `every_site`: `sites` are all of the policy's, not a choice. `check_commands` None: no command is ever run;
    `check_secrets` has the certificates, keys and tokens that checks name. `bake_s`: of each wave in which a policy
    goes that nobody was asked about. `node` is where the node endpoints for other machines begin; None: as this machine
    has told when it joined, if it did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: Path
    data: Path
    policy: Path | None = None
    watch: bool = False
    git: str | None = None
    git_verify: Path | None = None
    git_interval_s: float = 60.0
    roles: tuple[str, ...] = ("control", "dns", "edge")
    sites: tuple[str, ...] = ()
    every_site: bool = True
    bake_s: float = BAKE_S
    store: str = SQLITE
    dns: tuple[tuple[str, int], ...] = (("0.0.0.0", 53), ("::", 53))
    dns_protocol: DnsSettings = DnsSettings()
    node: tuple[str, int] | None = None
    api: tuple[str, int] = ("127.0.0.1", 8053)
    api_cert: Path | None = None
    api_key: Path | None = None
    geo: Path | None = None
    check_commands: Path | None = None
    check_secrets: Path | None = None
    dnssec_secret: Path | None = None
    certificates: Path | None = None
    envoy: str | None = None
    envoy_concurrency: int | None = None
    foreground: bool = False
    log_format: str = "json"

    def socket(self, name: str) -> Path:
        """The unix socket of the role process `name`."""
        return self.runtime / f"{name}.sock"

    @property
    def trust(self) -> Path:
        """The folder of keys and certificates."""
        return self.data / FOLDER

    def nodes(self) -> tuple[str, ...]:
        """The role processes that take snapshots, edges first."""
        edges = [role_name("edge", site) for site in self.sites] if "edge" in self.roles else []
        return (*edges, *(role for role in ("observer", "dns") if role in self.roles))

    def save(self) -> Path:
        path = self.runtime / "settings.json"
        path.write_text(json.dumps(self.model_dump(mode="json"), indent=2) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_bytes())
