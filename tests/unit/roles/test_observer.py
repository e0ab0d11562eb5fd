"""The observer role: it looks, tells, and says that it does."""

import asyncio

from gslb.health.probes import Prober
from gslb.roles.observer import ObserverRole
from gslb.roles.settings import Settings
from tests.unit.steering.world import snapshot


async def test_it_looks_at_what_was_published_and_is_ready_while_it_does():
    prober = Prober(lambda _: None)
    role = ObserverRole(prober)
    world = snapshot()
    await role.prepare(world)
    assert not (await role.state()).ready
    task = asyncio.ensure_future(prober.run())  # noqa: TID251 - a test's own task
    await role.publish(world)
    await asyncio.sleep(0)
    state = await role.state()
    assert (state.ready, state.role, state.name) == (True, "observer", "observer")
    assert {app for app, _ in prober.live.verdicts} == {"shop"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_it_takes_snapshots_after_the_edges_and_before_dns(tmp_path):
    settings = Settings(runtime=tmp_path, data=tmp_path, roles=("dns", "observer", "edge"), sites=("dc",))
    assert settings.nodes() == ("edge-dc", "observer", "dns")
