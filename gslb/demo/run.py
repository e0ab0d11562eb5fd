"""`gslb demo`: everything on loopback, with a tiny real backend for each endpoint of the policy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from gslb.errors import HostError
from gslb.model.folder import load_folder
from gslb.model.reader import Loaded
from gslb.model.words import format_endpoint, parse_endpoint
from gslb.roles import logs
from gslb.roles.identities.authority_work import Beginning, begin, settle
from gslb.roles.process import stop_signal
from gslb.roles.settings import Settings
from gslb.roles.supervisor import Supervisor, lock_folder, make_folders
from gslb.trust.identity_files import read_machine

__all__ = ["Demo", "demo_policy"]

DNS = ("127.0.0.1", 5300)
API = ("127.0.0.1", 8053)
OWN_PORTS = frozenset((9001, 9002))
"""The ports of the demo's own backends; on these a stranger is an error rather than a guest."""


def demo_policy() -> Path:
    """The folder of the demo's policy: in the checkout, or where an installed wheel has put it."""
    checkout = Path(__file__).parents[2] / "policies" / "demo"
    installed = Path(sysconfig.get_path("data")) / "share" / "gslb" / "policies" / "demo"
    return checkout if checkout.is_dir() else installed


@dataclass(frozen=True, slots=True)
class _Service:
    service: str
    site: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.service} in {self.site}"


@dataclass
class Demo:
    """One run of the demo. `data` None: a fresh folder that goes away with it."""

    policy: Path
    runtime: Path
    data: Path | None = None
    envoy: str | None = None
    log_format: str = "text"
    _backends: dict[_Service, asyncio.subprocess.Process] = field(default_factory=dict)

    async def run(self, tell: Any) -> None:
        """Serve until SIGTERM or SIGINT. `tell(facts)` is called once, when everything is ready."""
        logs.configure(self.log_format, "supervisor")
        loaded = load_folder(self.policy)
        stop = stop_signal()
        with contextlib.ExitStack() as stack:
            data = self.data or Path(stack.enter_context(_fresh_folder()))
            settings = Settings(
                runtime=self.runtime,
                data=data,
                policy=self.policy,
                watch=True,
                sites=tuple(loaded.policy.sites),
                dns=(DNS,),
                api=API,
                envoy=self.envoy,
                envoy_concurrency=1,
                foreground=True,
                log_format=self.log_format,
            )
            make_folders(settings)
            stack.enter_context(lock_folder(settings.runtime))
            stack.enter_context(lock_folder(settings.data))
            _know_each_other(settings, loaded)
            supervisor = Supervisor(settings)
            try:
                for service in _services(loaded):
                    await self._start(service)
                await supervisor.run(stop, lambda: tell(self._facts(settings, loaded, supervisor)))
            finally:
                await self._end_backends()

    async def _start(self, service: _Service) -> None:
        """Start one backend and wait until it listens. On a port that is not the demo's own, a stranger is a guest."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gslb.demo.backend", "--service", service.service, "--site", service.site,
            "--listen", format_endpoint(service.host, service.port),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        if await process.stdout.readline() == b"ready\n":
            self._backends[service] = process
            return
        said = (await process.stderr.read()).decode(errors="replace").strip()
        await process.wait()
        if service.port in OWN_PORTS:
            raise HostError(
                f"the demo's backend {service} cannot listen on {service.host}:{service.port}: {said}",
                f"see who has it: ss -ltnp 'sport = :{service.port}'; then stop that, or the demo that still runs",
            )
        sys.stderr.write(f"{service} is already served on {service.host}:{service.port}; left alone\n")

    def _facts(self, settings: Settings, loaded: Loaded, supervisor: Supervisor) -> dict[str, Any]:
        policy = loaded.policy
        return {
            "ready": True,
            "environment": policy.environment,
            "zone": policy.zone.name,
            "dns": "{}:{}".format(*DNS),
            "api": "http://{}:{}".format(*API),
            "server": str(settings.socket("control")),
            "policy": str(self.policy),
            "data": str(settings.data),
            "edges": {
                name: [format_endpoint(str(a), site.listen.http) for edge in site.edges for a in edge.bound]
                for name, site in policy.sites.items()
            },
            "backends": [
                {"service": s.service, "site": s.site, "address": format_endpoint(s.host, s.port), "pid": process.pid}
                for s, process in self._backends.items()
            ],
            "pids": dict(supervisor.pids),
        }

    async def _end_backends(self) -> None:
        for process in self._backends.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        for process in self._backends.values():
            await process.wait()


def _know_each_other(settings: Settings, loaded: Loaded) -> None:
    """So that the edges of the demo reach each other as those of two machines do (`via: edge`)."""
    if read_machine(settings.trust) is None:
        zone, roles, sites = loaded.policy.zone.name, settings.roles, settings.sites
        begin(Beginning(zone, "demo", roles, sites, None, None, settings.data, every_site=True))
    settle(settings)


@contextlib.contextmanager
def _fresh_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="gslb-demo-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _services(loaded: Loaded) -> list[_Service]:
    """The loopback endpoints of the policy: what the demo can serve itself."""
    services = []
    for app in loaded.policy.apps.values():
        for name, backend in app.backends.items():
            for site, endpoints in backend.endpoints.items():
                for host, port in map(parse_endpoint, endpoints):
                    if _is_loopback(host):
                        services.append(_Service(name, site, host, port))
    return list({(s.host, s.port): s for s in services}.values())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
