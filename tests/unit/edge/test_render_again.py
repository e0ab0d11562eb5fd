"""What an edge renders after what it rendered before."""

from __future__ import annotations

from gslb.edge.render import Renderer, Stores, changed_part
from gslb.snapshot.intent import Drain, Overrides, Provenance
from tests.unit.edge.policies import snapshot

BACKENDS = {"old": {"dc": ["192.0.2.1:80"]}, "new": {"dc": ["192.0.2.2:80"]}}
DRAINED = Overrides(drains=(Drain(site="aws", by=Provenance(at_s=0)),))


def test_after_a_drain_and_back_envoy_is_asked_about_no_cluster_twice():
    """Every edit after a drain was refused: clusters that were equal to those before, and other objects, were taken for
    what all apps share."""

    def at(new, overrides=None):
        split = {"old": 100 - new, "new": new}
        return snapshot([{"name": "pay", "split": split}], BACKENDS, overrides=overrides)

    renderer, place = Renderer(), ("dc", None, Stores())
    renderer.render(at(10), place)
    before = renderer.render(at(10, DRAINED), place)
    part = changed_part(before, renderer.render(at(40, DRAINED), place))
    assert part is not None
    names = [cluster["name"] for cluster in part.clusters]
    assert len(names) == len(set(names))
    assert part.apps.keys() == {"shop"}


def test_what_was_prepared_is_not_rendered_again_to_be_published():
    renderer, place = Renderer(), ("dc", None, Stores())
    made = snapshot([{"name": "pay", "split": {"old": 90, "new": 10}}], BACKENDS)
    first = renderer.render(made, place)
    assert renderer.render(made, place) is first
    assert renderer.render(made, place, closing=True).closing
    assert not renderer.render(made, place).closing
