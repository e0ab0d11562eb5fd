"""The chain of an app: that it ends in one pick, that its sites exist, and that the sites serve the same families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from gslb.model.checks.report import Report
from gslb.model.policy import App, First, Geo, GeoRules, Only, Priority, Shed, SteerFilter, Weighted
from gslb.model.tree import Path

__all__ = ["check_steering"]

_PICKS = ("weighted", "first", "shed")


def check_steering(report: Report) -> None:
    """Every app's chain and address families."""
    families = {
        name: frozenset(address.version for edge in site.edges for address in edge.public)
        for name, site in report.policy.sites.items()
    }
    difference = _difference(families)
    _measured(report)
    for name, app in report.policy.apps.items():
        path = ("apps", name, "steer")
        if app.steer is not None:
            _chain(report, path, app.steer)
            _restrictions(report, path, app.steer)
            _worth(report, path, app)
            for index, item in enumerate(app.steer):
                _sites(report, (*path, index, _kind(item)), item)
                if isinstance(item, Geo):
                    _geo_sites(report, (*path, index, "geo"), item.geo)
                if item == "shed" or isinstance(item, Shed):
                    _shed(report, (*path, index), item, app.steer)
        if difference and app.families == "same":
            _families(report, name, app, families)


def _kind(item: SteerFilter) -> str:
    return item if isinstance(item, str) else type(item).__name__.lower()


def _chain(report: Report, path: Path, chain: Sequence[SteerFilter]) -> None:
    kinds = [_kind(item) for item in chain]
    picks = [index for index, kind in enumerate(kinds) if kind in _PICKS]
    if not picks:
        remedy = "end it with `weighted: {SITE: WEIGHT}`, `first: N` or `shed`"
        report.error_at_key(path, "chain-pick", "the chain picks nobody", remedy)
        return
    first = picks[0]
    seen = set()
    for index, kind in enumerate(kinds):
        if index > first and kind in _PICKS:
            message = f"{kind} picks a second time, after {kinds[first]}"
            report.error((*path, index), "chain-pick", message, "keep one of them, as the last filter")
        elif index > first:
            message = f"{kind} stands after {kinds[first]}, which has picked already"
            report.error((*path, index), "chain-order", message, f"put it before {kinds[first]}")
        elif kind in seen:
            report.error((*path, index), "chain-repeat", f"{kind} stands in the chain already", "keep one of them")
        seen.add(kind)


def _sites(report: Report, path: Path, item: SteerFilter) -> None:
    match item:
        case Only(only=named) | Priority(priority=named):
            steps: list[str | int] = list(range(len(named)))
        case Weighted(weighted=weights):
            named, steps = tuple(weights), list(weights)
            _trickle(report, path, item)
            if not any(weights.values()):
                message = "every weight is 0"
                report.error(path, "weights-zero", message, "give at least one site a weight above 0")
        case _:
            return
    seen = Counter[str]()
    for site, step in zip(named, steps, strict=True):
        seen[site] += 1
        if site not in report.policy.sites:
            report.unknown((*path, step), "site", site, report.policy.sites)
        elif seen[site] > 1:
            report.error((*path, step), "duplicate-site", f"{site} stands in this list already", "name every site once")


def _trickle(report: Report, path: Path, item: Weighted) -> None:
    standby = sum(weight == 0 for weight in item.weighted.values())
    if item.trickle and not standby:
        remedy = "give the standby site the weight 0, or delete it"
        report.warn((*path, "trickle"), "no-effect", "trickle has no effect: no site has the weight 0", remedy)
    elif item.trickle and standby * item.trickle > 50:
        message = f"{standby} standby sites would get {standby * item.trickle:g} % together"
        report.error((*path, "trickle"), "trickle-large", message, f"write at most {50 // standby}")


def _geo_sites(report: Report, path: Path, rules: GeoRules) -> None:
    for site in rules.bias:
        if site not in report.policy.sites:
            report.unknown((*path, "bias", site), "site", site, report.policy.sites)
    for key, places in (("countries", rules.countries), ("continents", rules.continents)):
        for code, sites in places.items():
            for site in sites:
                if site not in report.policy.sites:
                    report.unknown((*path, key, code), "site", site, report.policy.sites)


def _shed(report: Report, path: Path, item: SteerFilter, chain: Sequence[SteerFilter]) -> None:
    if isinstance(item, Shed) and item.shed.low >= item.shed.high:
        message = f"low is {item.shed.low:g} % and high is {item.shed.high:g} %, so nothing lies between them"
        report.error((*path, "shed"), "shed-marks", message, "write a low below high, such as {low: 70, high: 95}")
    named = [sites for _, sites in _named(chain)]
    sites = [site for name, site in report.policy.sites.items() if all(name in some for some in named)]
    if sites and not any(site.capacity for site in sites):
        message = "none of the sites has a capacity, so nobody could tell when to shed"
        report.error(path, "shed-capacity", message, "write capacity: REQUESTS_PER_SECOND at sites that can be full")


def _measured(report: Report) -> None:
    """The map of latencies names sites that there are."""
    for network in report.keys(("latency",)):
        for site in report.keys(("latency", network)):
            if site not in report.policy.sites:
                report.unknown(("latency", network, site), "site", site, report.policy.sites)


def _named(chain: Sequence[SteerFilter]) -> list[tuple[int, frozenset[str]]]:
    """The filters that leave only sites that they name, by index."""
    named = [
        (index, item.only if isinstance(item, Only) else item.weighted)
        for index, item in enumerate(chain)
        if isinstance(item, Only | Weighted)
    ]
    return [(index, frozenset(sites)) for index, sites in named]


def _restrictions(report: Report, path: Path, chain: Sequence[SteerFilter]) -> None:
    named = _named(chain)
    if len(named) > 1 and not frozenset.intersection(*(sites for _, sites in named)):
        message = "no site is named by all of the filters, so nobody would ever get an answer"
        report.error((*path, named[-1][0]), "chain-nobody", message, "name at least one site in all of them")


def _worth(report: Report, path: Path, app: App) -> None:
    """Chains that do what they say, and probably not what was meant."""
    kinds = [_kind(item) for item in app.steer or ()]
    if "healthy" not in kinds and app.failover == "auto":
        message = "without `healthy` a site that is down stays in the answers"
        report.warn(path, "chain-health", message, "start the chain with healthy, or write failover: manual")
    sites = report.policy.sites.values()
    for kind, is_fed, lacking, remedy in (
        ("networks", any(site.networks for site in sites), "no site has networks", "write networks: [...] at a site"),
        ("geo", any(site.location for site in sites), "no site has a location", "write location: {...} at the sites"),
        ("latency", report.policy.latency, "nothing was measured", "write latency: {NETWORK: {SITE: 12ms}}"),
    ):
        if kind in kinds and not is_fed:
            message = f"{lacking}, so this filter changes nothing"
            report.warn((*path, kinds.index(kind)), f"no-{kind}", message, remedy)
    for index, item in enumerate(app.steer or ()):
        if isinstance(item, First) and item.first > len(report.policy.sites):
            message = f"first: {item.first}, but there are {len(report.policy.sites)} sites"
            report.warn((*path, index), "chain-first", message, "it means all of them")


def _families(report: Report, name: str, app: App, families: Mapping[str, frozenset[int]]) -> None:
    """With AAAA at one site only, IPv6 clients would all go there, whatever the weights say."""
    named = [sites for _, sites in _named(app.steer or ())]
    chosen = frozenset.intersection(*named) if named else frozenset(families)
    difference = _difference({site: families[site] for site in families if site in chosen})
    if difference:
        remedy = "give their edges public addresses of the same families, or write families: mixed"
        message = f"the sites of {name} differ in address families ({difference})"
        report.error_at_key(("apps", name), "families", message, remedy)


def _difference(families: Mapping[str, frozenset[int]]) -> str | None:
    """One site for each set of families, where there is more than one set."""
    examples: dict[frozenset[int], str] = {}
    for site, has in families.items():
        examples.setdefault(has, site)
    if len(examples) <= 1:
        return None
    return ", ".join(f"{site}: {' and '.join(f'IPv{v}' for v in sorted(has))}" for has, site in examples.items())
