"""`gslb run`: an installation on this machine, from its settings to its end."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import structlog

from gslb.errors import GslbError, HostError
from gslb.model.policy import Policy
from gslb.roles import logs
from gslb.roles.process import stop_signal
from gslb.roles.settings import Settings
from gslb.roles.supervisor import Supervisor, lock_folder, make_folders
from gslb.store import SQLITE, open_store
from gslb.trust.identity_files import read_machine
from gslb.trust.signer_files import TrustFolder

__all__ = ["run_installation"]


async def run_installation(folder: Path | None, **given: Any) -> None:
    """Serve until SIGTERM (Envoys go on) or SIGINT (everything ends). Raises PolicyError and HostError."""
    given["data"] = given["data"].absolute()
    given["runtime"] = given["runtime"].absolute()
    policy = _policy_of_folder(folder) if folder is not None else None
    draft = Settings(policy=folder.absolute() if folder else None, **given)
    make_folders(draft)
    if draft.git is not None:
        policy = _policy_of_git(draft)
    if policy is None and "control" not in draft.roles:
        settings, environment = _without_policy(draft), ""
    else:
        policy = policy or _stored_policy(draft)
        settings, environment = _with_sites(draft, policy), policy.environment
    logs.configure(settings.log_format, "supervisor")
    stop = stop_signal()
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock_folder(settings.runtime))
        stack.enter_context(lock_folder(settings.data))
        _settle(settings)
        log = structlog.get_logger()
        await Supervisor(settings).run(stop, lambda: log.info("ready", environment=environment))


def _settle(settings: Settings) -> None:
    """A machine without a control has nobody to settle anything with, and does not wait for what that takes."""
    if "control" in settings.roles:
        from gslb.roles.identities.authority_work import settle

        settle(settings)


def _policy_of_folder(folder: Path) -> Policy:
    from gslb.model.folder import load_folder

    return load_folder(folder).policy


def _with_sites(draft: Settings, policy: Policy) -> Settings:
    unknown = sorted(set(draft.sites) - set(policy.sites))
    if unknown:
        raise HostError(f"the policy has no site {', '.join(unknown)}", f"name one of: {', '.join(policy.sites)}")
    return draft.model_copy(update={"sites": draft.sites or tuple(policy.sites), "every_site": not draft.sites})


def _without_policy(draft: Settings) -> Settings:
    """A machine without a control takes the policy from those that have one."""
    if read_machine(draft.trust) is None:
        raise HostError(
            "this machine has no control, and has joined none",
            "join first (gslb node join), or run a control here: --roles control,...",
        )
    if "edge" in draft.roles and not draft.sites:
        raise HostError("nobody says whose edge runs here", "name the site: --site NAME")
    return draft.model_copy(update={"every_site": False})


def _policy_of_git(settings: Settings) -> Policy | None:
    """None where something was in force before, and the repository cannot give anything better."""
    from gslb.roles.publishing.git_follow import newest_policy

    try:
        return newest_policy(settings)
    except GslbError as error:
        if open_store(settings.store, settings.data).read() is None:
            raise
        structlog.get_logger().error("the repository gives no policy; what was in force goes on", why=str(error))
        return None


def _stored_policy(settings: Settings) -> Policy:
    from gslb.roles.publishing.signing import Signing, understood

    stored = open_store(settings.store, settings.data).read()
    if stored is None:
        where = f"the data folder {settings.data}" if settings.store == SQLITE else settings.store
        raise HostError(f"there is no policy in {where} yet", "name a policy folder or a repository: gslb run DIR")
    Signing(TrustFolder(settings.trust), own_file=settings.store == SQLITE).is_believed(stored)
    return understood(stored).policy
