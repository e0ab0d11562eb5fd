"""Gives Envoy a new configuration in an order that loses no request, and knows whether it was taken.

Clusters before the routes that name them, routes before listeners, and what is gone leaves last. The runtime, which has
the shares that are not the policy's, comes first with what old and new routes ask for, and last without what only the
old ones did (`render.shares`); where it is all that changed, it is all that is written. Envoy acknowledges by showing
the version of a file in its statistics; a refusal raises a counter and keeps what was in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gslb import clock
from gslb.edge.admin import Admin
from gslb.edge.documents import Document
from gslb.edge.files import Files
from gslb.edge.render import RUNTIME_MARK, runtime_layer
from gslb.edge.render.config import ROUTES_NAME, STAT_PREFIX
from gslb.errors import HostError, RefusedError

__all__ = ["Handover"]

_SOON_S = 0.002
_POLL_S = 0.02
_TAKE_LIMIT_S = 20.0
"""For a small policy; what Envoy refuses, it says at once."""
_REFUSAL_S = 0.5
_WARM_LIMIT_S = 5.0
"""How long new clusters may warm (a first health check, a first name resolution) before routes use them anyway: what
is not warm by then is dead, and must not hold back a change."""
_PAUSES = 10.0
"""How many times as long as a look through all counters took the next one waits."""
_PATTERN = (
    r"^(cluster_manager\.(cds\.|warming)|listener_manager\.(lds\.|total_listeners_w)|runtime\.(update|version)"
    rf"|http\.{STAT_PREFIX}\.rds\.)"
)


_REFUSAL = re.compile(r"update rejected: (.*)")


_Refusals = Mapping[str, int | str]
"""Envoy's counters, `update_rejected` of each subscription among them."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    """Where Envoy shows what became of one file. `warming` is a gauge that is 0 when it is in force."""

    path: str
    stats: str
    warming: str | None = None


class Handover:
    """Publishes documents through `files` to the Envoy behind `admin`."""

    def __init__(self, files: Files, admin: Admin) -> None:
        self._files, self._admin = files, admin
        self._log_begin_bytes = files.log_size_bytes()
        paths = files.paths
        self._clusters = _Subscription(paths.clusters, "cluster_manager.cds", "cluster_manager.warming_clusters")
        self._routes = _Subscription(paths.routes, f"http.{STAT_PREFIX}.rds.{ROUTES_NAME}")
        self._listeners = _Subscription(
            paths.listeners, "listener_manager.lds", "listener_manager.total_listeners_warming"
        )
        self._runtime = _Subscription(paths.runtime, "runtime")

    async def to_running(self, new: Mapping[str, Document]) -> None:
        """Raises RefusedError, with Envoy's reason, after the files of before are back; HostError where Envoy does not
        answer, likewise."""
        before = await asyncio.to_thread(self._files.read_all)
        more = await asyncio.to_thread(self._files.more_routes)
        self._log_begin_bytes = self._files.log_size_bytes()
        runtime = self._runtime.path
        joined = _joined_runtime(before[runtime], new[runtime])
        try:
            if _differ({**before, **more}, new, self._structure(new)):
                await self._replace_runtime(before[runtime], joined)
                await self._replace_structure({**before, **more}, new, await self._refusals())
                await self._replace_runtime(joined, new[runtime])
            else:
                await self._replace_runtime(before[runtime], new[runtime])
        except (RefusedError, HostError):
            await self._write_all({**dict.fromkeys(self._more(new)), **more, **before})
            raise
        await self._remove_more(new)

    async def _replace_structure(
        self, before: Mapping[str, Document | None], new: Mapping[str, Document], refusals: _Refusals
    ) -> None:
        clusters, routes, listeners = (item.path for item in (self._clusters, self._routes, self._listeners))
        both = await asyncio.to_thread(_union, before[clusters], new[clusters])
        await self._replace(self._clusters, before[clusters], both, refusals)
        await self._replace(self._routes, before[routes], new[routes], refusals)
        await self._replace_more(before, new, refusals)
        await self._replace(self._listeners, before[listeners], new[listeners], refusals)
        await self._replace(self._clusters, both, new[clusters], refusals)

    async def to_starting(self, new: Mapping[str, Document], start: Callable[[], None]) -> None:
        """For an Envoy that is started once the files are there, by `start`. Raises as `to_running` does."""
        before = await asyncio.to_thread(self._files.read_all)
        more = await asyncio.to_thread(self._files.more_routes)
        self._log_begin_bytes = self._files.log_size_bytes()
        await self._write_all(new)
        start()
        try:
            for item in self._subscriptions():
                await self._taken(item, new[item.path], {})
        except (RefusedError, HostError):
            await self._write_all({**dict.fromkeys(self._more(new)), **more, **before})
            raise
        await self._remove_more(new)

    async def _write_all(self, documents: Mapping[str, Document | None]) -> None:
        for path in (*self._more(documents), *(item.path for item in self._subscriptions())):
            await asyncio.to_thread(self._files.write, path, documents[path])

    def _more(self, documents: Mapping[str, Document | None]) -> list[str]:
        """The paths of what is routed at `also` ports."""
        return sorted(documents.keys() - {item.path for item in self._subscriptions()})

    async def _replace_more(
        self, before: Mapping[str, Document | None], new: Mapping[str, Document], refusals: _Refusals
    ) -> None:
        """Envoy asks for the routes of a port when it has a listener there: only known ones are acknowledged."""
        for path in self._more(new):
            name = new[path].texts[0].name
            current = before.get(path)
            if current is None:
                await asyncio.to_thread(self._files.write, path, new[path])
            else:
                await self._replace(_Subscription(path, f"http.{STAT_PREFIX}.rds.{name}"), current, new[path], refusals)

    async def _remove_more(self, new: Mapping[str, Document]) -> None:
        for path in (await asyncio.to_thread(self._files.more_routes)).keys() - new.keys():
            await asyncio.to_thread(self._files.write, path, None)

    def _structure(self, new: Mapping[str, Document]) -> list[str]:
        """The paths of everything but the runtime."""
        return [path for path in new if path != self._runtime.path]

    def _subscriptions(self) -> tuple[_Subscription, ...]:
        """In the order in which files are put back: the runtime must have what the routes beside it ask for."""
        return (self._clusters, self._routes, self._listeners, self._runtime)

    async def _replace(
        self, item: _Subscription, current: Document | None, document: Document, refusals: _Refusals
    ) -> None:
        if current is not None and current.digest == document.digest:
            return
        await asyncio.to_thread(self._files.write, item.path, document)
        await self._taken(item, document, refusals)

    async def _replace_runtime(self, current: Document | None, document: Document) -> None:
        if current is not None and current.digest == document.digest:
            return
        await asyncio.to_thread(self._files.write, self._runtime.path, document)
        (resource,) = document.resources()
        begun_s, log_begin_bytes = clock.mono_s(), self._files.log_size_bytes()
        while await self._runtime_mark() != resource["layer"][RUNTIME_MARK]:
            past_s = clock.mono_s() - begun_s
            if past_s > _REFUSAL_S and _REFUSAL.search(self._files.log_after(log_begin_bytes)):
                raise self._refused()
            if past_s > self._take_limit_s():
                raise self._not_taken(self._runtime.path)
            await asyncio.sleep(_SOON_S if past_s < _POLL_S else _POLL_S)

    async def _runtime_mark(self) -> str:
        try:
            return await self._admin.runtime(RUNTIME_MARK)
        except HostError:
            return ""  # starting, or busy; the caller's deadline bounds the wait

    def _refused(self) -> RefusedError:
        return RefusedError(
            "envoy-refused",
            f"Envoy refused the new configuration: {self._reason()}",
            f"nothing has changed; change what the reason names, or see {self._files.log}",
        )

    def _take_limit_s(self) -> float:
        return _TAKE_LIMIT_S + self._files.patience_s()

    def _not_taken(self, path: str) -> HostError:
        return HostError(
            f"Envoy did not take {path} within {self._take_limit_s():.0f} s", "see envoy.log in the same data folder"
        )

    async def _refusals(self) -> _Refusals:
        """What Envoy has refused before a change; waits for one that is just being started."""
        deadline_s = clock.mono_s() + self._take_limit_s()
        while True:
            try:
                return await self._admin.stats(_PATTERN, "Counters")
            except HostError:
                if clock.mono_s() > deadline_s:
                    raise
            await asyncio.sleep(_POLL_S)

    async def _taken(self, item: _Subscription, document: Document, refusals: _Refusals) -> None:
        """Wait for the acknowledgement of `document`, then for it to be warm. An Envoy of thousands of clusters that
        looks through its counters does nothing else meanwhile: it is seldom asked for those."""
        deadline_s, counters_s = clock.mono_s() + self._take_limit_s(), 0.0
        while not await self._shows(item, document):
            begun_s = clock.mono_s()
            if begun_s >= counters_s:
                await self._raise_if_refused(item, refusals)
                counters_s = clock.mono_s() + _PAUSES * (clock.mono_s() - begun_s)
            if begun_s > deadline_s:
                raise self._not_taken(item.path)
            await asyncio.sleep(_POLL_S)
        deadline_s = clock.mono_s() + _WARM_LIMIT_S
        while item.warming and (begun_s := clock.mono_s()) < deadline_s:
            with contextlib.suppress(HostError):
                if not _number(await self._admin.stats(_PATTERN, "Gauges"), item.warming):
                    return
            await asyncio.sleep(max(_POLL_S, clock.mono_s() - begun_s))

    async def _shows(self, item: _Subscription, document: Document) -> bool:
        try:
            texts = await self._admin.stats(_PATTERN, "TextReadouts")
        except HostError:
            return False  # starting, or busy; the caller's deadline bounds the wait
        return texts.get(f"{item.stats}.version_text") == document.version

    async def _raise_if_refused(self, item: _Subscription, before: _Refusals) -> None:
        with contextlib.suppress(HostError):
            now, name = await self._admin.stats(_PATTERN, "Counters"), f"{item.stats}.update_rejected"
            if _number(now, name) > _number(before, name):
                raise self._refused()

    def _reason(self) -> str:
        """Why the last refusal was, in Envoy's words. Its configuration dump tells it for clusters and listeners but
        not for routes; its log tells it for all."""
        text = self._files.log_after(self._log_begin_bytes)
        return "; ".join(dict.fromkeys(_REFUSAL.findall(text))) or "it gave no reason"


def _union(before: Document | None, new: Document) -> Document:
    """The new resources and those that routes still in force may name."""
    names = {text.name for text in new.texts}
    kept = [text for text in before.texts if text.name not in names] if before else []
    return Document.holding(new.snapshot, [*new.texts, *kept]) if kept else new


def _joined_runtime(before: Document | None, new: Document) -> Document:
    """What the routes of before ask for and what the new ones do; where both ask for the same, the new value."""
    layers = [resource["layer"] for document in (before, new) if document for resource in document.resources()]
    values = {key: value for layer in layers for key, value in layer.items()}
    return Document.of(new.snapshot, [runtime_layer({key: values[key] for key in values if key != RUNTIME_MARK})])


def _differ(before: Mapping[str, Document | None], new: Mapping[str, Document], paths: Iterable[str]) -> bool:
    found = ((before.get(path), new[path]) for path in paths)
    return any(old is None or old.digest != document.digest for old, document in found)


def _number(stats: Mapping[str, int | str], name: str) -> int:
    value = stats.get(name, 0)
    return value if isinstance(value, int) else 0
