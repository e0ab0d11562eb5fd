"""Whom the installation believes: the document `signers` of the store, this machine's file, and the two kept alike.

The document is the truth, replaced by compare-and-swap and signed by a control that is believed already. The file is
what this machine goes by, whatever becomes of store and controls; who edits it on a control's machine, by hand or by a
command that found the store silent, tells all the others by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from gslb import clock
from gslb.errors import GslbError, RefusedError
from gslb.roles.identities.trust_home import store_of
from gslb.roles.publishing.nodes import NodeSet
from gslb.store import SQLITE, AuditEntry, Document, Store, open_store
from gslb.trust.identity_files import trust_folder
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signer_list import merged, opened_list, told_number
from gslb.trust.signing import Signers, is_foreign

__all__ = ["DOCUMENT", "Believing", "believing_at", "follow_signers"]

DOCUMENT = "signers"
LOOK_S = 2.0
TRIES = 5

_log = structlog.get_logger(__name__)


class Believing:
    """Of the machine of one control. `own_file`: the store is a file of this machine, and what nobody vouches for in it
    is ours to be replaced. Synchronous."""

    def __init__(self, trust: TrustFolder, store: Store, *, own_file: bool) -> None:
        self._trust, self._store, self._own_file = trust, store, own_file
        self._base: Signers | None = None
        self.trouble = ""
        """Why the list in the store is not taken; empty: it is, or the store is silent, which others tell."""

    def look(self, told: int = 0) -> Signers:
        """Make document and file alike, and return what both say. `told`: the highest number that a node has; a store
        that was set back behind it gets a higher one.

        Raises HostError, and RefusedError: as `signer_list.opened_list`, and rule `stale` where another control was
        faster.
        """
        here, document = self._trust.signers(), self._store.document(DOCUMENT)
        there = self._there(document, here)
        base = self._base if self._base is not None and self._base.number == here.number else here
        base = base if here.number else Signers()  # what nobody has told yet gets lost nowhere
        if there is None or there.number <= here.number:
            if there == here and told <= here.number:
                self._base = here
                return here
            return self._tell(document, there, here, here, told)
        wanted = merged(there, here, base)
        if wanted is not there:
            return self._tell(document, there, wanted, here, told)
        self._base = self._trust.change(lambda known: there if known == here else known)
        return there

    def change(self, make: Callable[[Signers], Signers]) -> Signers:
        """`make` turns the installation's list into another one, for good and for everybody. It may be called again.
        Raises as `look` does, and as `make` does."""
        for left in reversed(range(TRIES)):
            try:
                self.look()
                self._trust.change(make)
                return self.look()
            except RefusedError as error:
                if error.rule != "stale" or not left:
                    raise
        raise AssertionError

    def replace(self) -> Signers:
        """What this machine believes, in place of whatever the store has. Raises HostError, and rule `stale`."""
        here, document = self._trust.signers(), self._store.document(DOCUMENT)
        return self._tell(document, None, here, here, told_number(document.value or b""))

    def _there(self, document: Document, here: Signers) -> Signers | None:
        if document.value is None:
            return None
        try:
            return opened_list(document.value, self._voucher(here))
        except RefusedError as error:
            if self._own_file and (is_foreign(error) or error.rule == "bad-signers"):
                return Signers(number=told_number(document.value))
            raise RefusedError(
                error.rule,
                f"the list of believed keys in the store: {error.message}",
                "look at it; to write that of this machine in its place: gslb trust tell",
            ) from None

    def _voucher(self, here: Signers) -> Signers:
        """Who may have signed the list that stands in the store: also whom an edit here has just struck out."""
        struck = [signer for signer in self._base.signers if not here.knows(signer.id)] if self._base else []
        return here.model_copy(update={"signers": (*here.signers, *struck)})

    def _tell(self, document: Document, there: Signers | None, wanted: Signers, here: Signers, told: int) -> Signers:
        """`wanted`, under a number that nobody has seen, goes to the store and to the file that says `here`."""
        own = self._trust.own_id()
        if there is not None and there.signers and not there.knows(own):
            raise RefusedError(
                "unknown-signer",
                f"the other machines do not believe the key {own} of this control",
                "add it to trust/signers.json on the machine of another control: it stands in that of this one",
            )
        number = 1 + max(wanted.number, there.number if there else 0, told)
        made = wanted.model_copy(update={"number": number})
        self._store.put(DOCUMENT, document.number, self._trust.sign_list(made))
        self._trust.change(lambda known: made if known == here else known)
        self._base = made
        if there is not None and (what := _difference(there, made)):
            self._store.append(AuditEntry(clock.wall_s(), "gslb", "signers", f"list {number}: {what}"))
            _log.warning("other keys are believed", number=number, what=what)
        return made


def believing_at(data: Path) -> Believing | None:
    """For commands. None: this machine has no control, or that never ran. Raises HostError."""
    trust, url = TrustFolder(trust_folder(data)), store_of(data)
    if url is None or not trust.has_key:
        return None
    return Believing(trust, open_store(url, data), own_file=url == SQLITE)


async def follow_signers(believing: Believing, nodes: NodeSet) -> None:
    """For ever: every node that can be reached has the list of now. What fails is told once, and tried again."""
    failed = ""
    while True:
        told = max((node.state.signers for node in nodes.reachable if node.state is not None), default=0)
        try:
            await nodes.hand_signers(await asyncio.to_thread(believing.look, told))
            failed = believing.trouble = ""
        except GslbError as error:
            is_race = isinstance(error, RefusedError) and error.rule == "stale"
            if str(error) != failed and not is_race:
                _log.error("whom the installation believes cannot be looked after", why=str(error))
            failed = str(error)
            if isinstance(error, RefusedError) and not is_race:
                believing.trouble = error.message
        await asyncio.sleep(LOOK_S)


def _difference(before: Signers, after: Signers) -> str:
    gone = [signer for signer in before.signers if signer not in after.signers]
    new = [signer for signer in after.signers if signer not in before.signers]
    told = [(sign, signer) for sign, some in (("-", gone), ("+", new)) for signer in some]
    return ", ".join(f"{sign} {signer.kind} {signer.id} of {signer.name}" for sign, signer in told)
