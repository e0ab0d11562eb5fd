"""Our rendered edge beside its peers, with the same features at both: requests per second of proxy processor time.

Split 95/5, mirror 10 %, metrics per side, active checks, retries and timeouts, at whoever can do it. One worker each,
on one core; nginx as backends and the load on the other. What each peer is told stands in `bench/peers`.
"By hand" is Envoy with the same features, hardening included; "as the guide prints it" has two timeouts more that break
long uploads and streams; "bare" is the least that splits and mirrors: no hardening, no checks, no retries.

What is needed: `sh bench/peers/install` (Debian's nginx, haproxy and wrk; Traefik and Caddy as wheels). Who is missing
is left out, and said so. `python -m bench.edge_peers STARTS ROUNDS NAME ...` runs the peers of these names alone:
`python -m bench.edge_peers 8 4 ours "Envoy by hand"`.
"""

import copy
import shutil
import sys
from pathlib import Path

import yaml

from bench.proxies import HERE, Case, Rates, Stage, load_of_machine, median, rates, ratio, rendered, stage, undisturbed

PEERS = HERE / "peers"
OURS, OURS_SPLIT = "ours", "ours, no mirror"
GO = {"GOMAXPROCS": "1"}
BY_HAND = "Envoy by hand"
WITHOUT_MIRROR = f"{BY_HAND}, no mirror"
PAIRS = (
    (OURS, BY_HAND, 1.1),
    (OURS, "Envoy as the guide prints it", None),
    (OURS, "Envoy bare", None),
    (OURS, "Traefik", 1.4),
    (OURS, "nginx", None),
    (OURS_SPLIT, WITHOUT_MIRROR, None),
    (OURS_SPLIT, "Traefik, no mirror", None),
    (OURS_SPLIT, "Caddy, no mirror", 1.9),
    (OURS_SPLIT, "nginx, no mirror", None),
    (OURS_SPLIT, "HAProxy, no mirror", None),
)


def main(starts: int = 8, rounds: int = 4, *chosen: str) -> None:
    found: dict[str, list[float]] = {}
    for _ in range(starts):
        for name, some in one_start(rounds, chosen).items():
            found.setdefault(name, []).extend(some)
    print(f"{starts} starts of {rounds} rounds of 1 s, interleaved, medians (min to max); load {load_of_machine()}")
    print("| | requests per CPU second | | requests per CPU second | ratio | of upper quartiles | target |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for one, other, target in PAIRS:
        if one in found and other in found:
            columns = [one, median(found, one), other, median(found, other), ratio(found, one, other)]
            columns.append(undisturbed(found, one, other))
            print(f"| {' | '.join(columns)} | {target or ''} |")


def one_start(rounds: int, chosen: tuple[str, ...]) -> Rates:
    """Of processes that live no longer: two of the very same configuration differ by up to a sixth for as long as they
    live."""
    with stage(chosen or None) as made:
        for peer in (ours, envoys, traefik, caddy, nginx, haproxy):
            peer(made)
        if strange := set(chosen) - made.pids.keys():
            raise SystemExit(
                f"there is no {', '.join(strange)}: the names are those of the table in docs/performance.md"
            )
        made.ready()
        return rates(made, lambda _: Case(), rounds, 1)


def ours(made: Stage) -> None:
    text = (PEERS / "policy.yaml").read_text()
    made.envoy(OURS, "127.0.8.1", rendered(made.folder, text))
    plain = "\n".join(line for line in text.replace("127.0.8.1]", "127.0.8.3]").splitlines() if "mirror:" not in line)
    made.envoy(OURS_SPLIT, "127.0.8.3", rendered(made.folder, plain))


def envoys(made: Stage) -> None:
    by_hand = yaml.safe_load((PEERS / "envoy.yaml").read_text())
    made.envoy(BY_HAND, "127.0.8.2", by_hand)
    made.envoy(WITHOUT_MIRROR, "127.0.8.21", without_mirror(moved(by_hand, "127.0.8.21")))
    made.envoy("Envoy as the guide prints it", "127.0.8.22", as_the_guide(moved(by_hand, "127.0.8.22")))
    made.envoy("Envoy bare", "127.0.8.23", bare(moved(by_hand, "127.0.8.23")))


def moved(config: dict, address: str) -> dict:
    made = copy.deepcopy(config)
    for item in (made["admin"], made["static_resources"]["listeners"][0]):
        item["address"]["socket_address"]["address"] = address
    return made


def manager(config: dict) -> dict:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def action(config: dict) -> dict:
    return manager(config)["route_config"]["virtual_hosts"][0]["routes"][0]["route"]


def without_mirror(config: dict) -> dict:
    del action(config)["request_mirror_policies"]
    return config


def as_the_guide(config: dict) -> dict:
    manager(config)["request_timeout"] = "300s"
    action(config)["idle_timeout"] = "15s"
    return config


def bare(config: dict) -> dict:
    del config["overload_manager"]
    whole = manager(config)
    for name in set(whole) - {"@type", "stat_prefix", "http_filters", "route_config"}:
        del whole[name]
    del action(config)["retry_policy"]
    for item in (*config["static_resources"]["listeners"], *config["static_resources"]["clusters"]):
        item.pop("per_connection_buffer_limit_bytes")
        item.pop("health_checks", None)
    return config


def filled(made: Stage, file: str, to: str | None = None, **values: str) -> Path:
    """A peer's file with `{folder}` and more put in."""
    text = (PEERS / file).read_text()
    for key, value in {"folder": str(made.folder), **values}.items():
        text = text.replace(f"{{{key}}}", value)
    where = made.folder / (to or file)
    where.write_text(text)
    return where


def found(program: str) -> str | None:
    """Beside Python (as wheels put it there), or on the path."""
    path = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if path is None:
        print(f"{program} is not installed: left out")
    return path


def traefik(made: Stage) -> None:
    if (program := found("traefik")) is None:
        return
    filled(made, "traefik-routes.yaml")
    made.proxy("Traefik", "127.0.8.4", [program, f"--configFile={filled(made, 'traefik.yaml')}"], GO)
    plain = filled(made, "traefik-routes.yaml", "plain-routes.yaml")
    plain.write_text(plain.read_text().replace("service: mirrored", "service: split"))
    file = filled(made, "traefik.yaml", "plain.yaml")
    file.write_text(file.read_text().replace("127.0.8.4", "127.0.8.41").replace("traefik-routes", "plain-routes"))
    made.proxy("Traefik, no mirror", "127.0.8.41", [program, f"--configFile={file}"], GO)


def caddy(made: Stage) -> None:
    if (program := found("caddy")) is None:
        return
    command = [program, "run", "--config", str(filled(made, "Caddyfile")), "--adapter", "caddyfile"]
    made.proxy("Caddy, no mirror", "127.0.8.5", command, {**GO, "HOME": str(made.folder)})


def nginx(made: Stage) -> None:
    for name, address, mirror in (("nginx", "127.0.8.6", "mirror /mirror;"), ("nginx, no mirror", "127.0.8.7", "")):
        file = filled(made, "nginx.conf", f"{address}.conf", name=address, address=address, mirror=mirror)
        made.proxy(name, address, ["nginx", "-e", "stderr", "-c", str(file)])


def haproxy(made: Stage) -> None:
    if (program := found("haproxy")) is not None:
        made.proxy("HAProxy, no mirror", "127.0.8.8", [program, "-q", "-db", "-f", str(filled(made, "haproxy.cfg"))])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
