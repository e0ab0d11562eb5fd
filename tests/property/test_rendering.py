"""Whatever an edge rendered and encoded before: what a snapshot becomes is the same, and so is what Envoy reads."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gslb.edge.documents import Document, Encoder
from gslb.edge.render import Paths, Renderer, Stores, changed_part, discovery, render
from gslb.snapshot import Compiler
from tests.property.test_compiler import INTENTS, NOW_S, variants

PATHS = Paths("/d/admin.sock", "/d/lds/l.json", "/d/cds/c.json", "/d/rds/r.json", "/d/rtds/r.json")


@given(st.data())
def test_what_was_rendered_before_makes_no_difference(data):
    compiler, renderer, encoder, intent = Compiler(), Renderer(), Encoder(), data.draw(INTENTS)
    before = None
    for _ in range(4):
        snapshot = compiler.compile(intent, NOW_S)
        made, scratch = renderer.render(snapshot, ("dc", None, Stores())), render(snapshot, "dc")
        assert made == scratch
        documents = encoder.documents(made, PATHS)
        for path, (kind, resources) in discovery(scratch, PATHS).items():
            typed = [{"@type": kind, **json.loads(json.dumps(item))} for item in resources]
            assert documents[path] == Document.of(made.version, typed)
            assert documents[path].resources() == typed
            assert Document.read(documents[path].encode()) == documents[path]
        if before is not None:
            _assert_part(before, made)
        before, intent = made, data.draw(variants(intent))


def _assert_part(before, now):
    """What Envoy is asked about holds everything that is new, and names no cluster that it lacks."""
    part = changed_part(before, now)
    if part is None:
        assert before.listeners != now.listeners
        return
    old = [*before.clusters, *before.routes["virtual_hosts"]]
    asked = [*part.clusters, *part.routes["virtual_hosts"]]
    assert [
        item for item in (*now.clusters, *now.routes["virtual_hosts"]) if item not in old and item not in asked
    ] == []
    names = {cluster["name"] for cluster in part.clusters}
    assert len(names) == len(part.clusters), "Envoy takes no name twice"
    aggregated = [
        cluster.get("cluster_type", {}).get("typed_config", {}).get("clusters", ()) for cluster in part.clusters
    ]
    assert {name for some in aggregated for name in some} <= names
    for host in part.routes["virtual_hosts"]:
        for route in host["routes"]:
            sides = route.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
            assert {side["name"] for side in sides} <= names
