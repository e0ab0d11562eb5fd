"""A policy's routes to the snapshot's, with the shift that overrides a split. Only what `compile` calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gslb.model import routing as written
from gslb.snapshot.comparing import compile_comparison
from gslb.snapshot.intent import MirrorStop, Provenance, Shift
from gslb.snapshot.routing import (
    Auth,
    BackendName,
    Cors,
    Edits,
    Fault,
    Match,
    Mirror,
    Rate,
    Redirect,
    Respond,
    Retry,
    Rewrite,
    Route,
    Share,
    Side,
    Source,
    Users,
    ValueMatch,
)

__all__ = ["compile_route"]


def compile_route(route: written.Route, shift: Shift | None, stop: MirrorStop | None = None) -> Route:
    """`shift` is the one in force for this route; it counts where the route has a split. `stop`: of its mirrors."""
    retries = route.retrying
    split, written_split, source = _split(route, shift)
    return Route(
        name=route.name,
        matches=tuple(_match(match) for match in route.match),
        split=split,
        written=written_split,
        source=source,
        sticky=route.sticky is not None,
        mirrors=tuple(_mirror(mirror, route.split or {}, stop) for mirror in route.mirror),
        timeout_s=route.timeout,
        retry=Retry(retries.tries, retries.on, retries.backoff, retries.methods == "any"),
        try_timeout_s=route.try_timeout,
        redirect=_redirect(route.redirect),
        respond=_respond(route.respond),
        rewrite=_rewrite(route.rewrite),
        request=_edits(route.request),
        response=_edits(route.response),
        sides=tuple(_sides(route)),
        cors=_cors(route.cors),
        websocket=route.websocket,
        max_body_bytes=route.max_body,
        rate=_rate(route.rate),
        compress=route.compress,
        fault=_fault(route.fault),
        variants=route.variants,
        auth=_auth(route.auth),
    )


def _split(route: written.Route, shift: Shift | None) -> tuple[tuple[Share, ...], tuple[Share, ...], Source]:
    """The shares in force, those of the policy, and where the first come from."""
    if route.split is None:
        return (), (), Source("policy")
    split: Mapping[str, float] = route.split
    source = Source("policy")
    if shift is not None:
        split = {**dict.fromkeys(route.split, 0.0), **shift.split}
        source = Source("shift", _detail(shift.by))
    policy = {**dict.fromkeys(split, 0.0), **route.split}
    return _shares(split), _shares(policy), source


def _shares(split: Mapping[str, float]) -> tuple[Share, ...]:
    return tuple(Share(BackendName(name), round(split[name] * 100)) for name in sorted(split))


def _detail(by: Provenance) -> str:
    return " ".join(filter(None, [f"by {by.author or 'unknown'}", by.reason]))


def _mirror(mirror: written.Mirror, split: Mapping[str, float], stop: MirrorStop | None) -> Mirror:
    return Mirror(
        to=BackendName(mirror.to),
        share_bp=round(mirror.percent * 100),
        methods=tuple(mirror.methods),
        max_body_bytes=mirror.max_body,
        by=_users(mirror.by),
        credentials=bool(mirror.credentials),
        removed=tuple(name.lower() for name in mirror.remove),
        stopped=Source("stop", _detail(stop.by)) if stop else None,
        compare=compile_comparison(mirror, split),
    )


def _users(by: str | written.ByHeader) -> Users | None:
    if isinstance(by, written.ByHeader):
        return Users(by.header.lower())
    return Users() if by == "user" else None


def _match(match: written.Match) -> Match:
    return Match(
        prefix=match.path,
        exact=match.exact,
        regex=match.regex,
        methods=tuple(match.method or ()),
        headers=tuple(sorted(_tests(match.headers, lower=True), key=lambda test: test.name)),
        query=tuple(sorted(_tests(match.query, lower=False), key=lambda test: test.name)),
    )


def _tests(tests: Mapping[str, written.Test], *, lower: bool) -> Iterator[ValueMatch]:
    for written_name, test in tests.items():
        name = written_name.lower() if lower else written_name
        if isinstance(test, str):
            yield ValueMatch(name, test)
        elif test.exact is not None:
            yield ValueMatch(name, test.exact)
        elif test.regex is not None:
            yield ValueMatch(name, test.regex, "regex")
        else:
            yield ValueMatch(name, "", "present" if test.present else "absent")


def _redirect(redirect: written.Redirect | None) -> Redirect | None:
    if redirect is None:
        return None
    return Redirect(redirect.scheme, redirect.host, redirect.port, redirect.path, redirect.prefix, redirect.status)


def _respond(respond: written.Respond | None) -> Respond | None:
    return Respond(respond.status, respond.body, respond.type) if respond else None


def _rewrite(rewrite: written.Rewrite | None) -> Rewrite | None:
    return Rewrite(rewrite.path, rewrite.prefix, rewrite.host) if rewrite else None


def _edits(edits: written.Edits | None) -> Edits:
    if edits is None:
        return Edits()
    return Edits(
        set=tuple((name.lower(), value) for name, value in edits.set.items()),
        added=tuple((name.lower(), value) for name, value in edits.add.items()),
        removed=tuple(name.lower() for name in edits.remove),
    )


def _sides(route: written.Route) -> Iterator[Side]:
    for name, side in sorted(route.sides.items()):
        yield Side(BackendName(name), _edits(side.request), _edits(side.response), side.host)


def _cors(cors: written.Cors | None) -> Cors | None:
    if cors is None:
        return None
    max_age_s = None if cors.max_age is None else round(cors.max_age)
    return Cors(cors.origins, cors.methods, cors.headers, cors.expose, cors.credentials, max_age_s)


def _rate(rate: written.Rate | None) -> Rate | None:
    return Rate(rate.requests, rate.per, rate.burst or rate.requests) if rate else None


def _fault(fault: written.Fault | None) -> Fault | None:
    if fault is None:
        return None
    delay, abort = fault.delay, fault.abort
    return Fault(
        delay_bp=round(delay.percent * 100) if delay else 0,
        delay_s=delay.time if delay else 0.0,
        abort_bp=round(abort.percent * 100) if abort else 0,
        abort_status=abort.status if abort else 503,
    )


def _auth(auth: written.Auth | None) -> Auth | None:
    if auth is None:
        return None
    send, take = (tuple(name.lower() for name in names) for names in (auth.send, auth.take))
    return Auth(BackendName(auth.backend), auth.path, auth.timeout, send, take, auth.fail == "open")
