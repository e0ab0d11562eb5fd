"""`python -m bench`: every measurement whose figures stand in docs/performance.md, one after the other."""

from bench import dns, edge, edge_features, edge_peers, shift


def main() -> None:
    for name, module in (
        ("shift", shift),
        ("edge", edge),
        ("edge and its peers", edge_peers),
        ("features of the edge", edge_features),
        ("dns", dns),
    ):
        print(f"\n== {name}: {module.__doc__.splitlines()[0]}", flush=True)
        module.main()


if __name__ == "__main__":
    main()
