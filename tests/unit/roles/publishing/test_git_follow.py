"""A followed repository: what becomes of each commit, over rollbacks, restarts and silence."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from structlog.testing import capture_logs

from gslb.control import changes
from gslb.control.bodies import plan_messages
from gslb.control.bodies.status_messages import GitSeen
from gslb.control.followed import git_seen
from gslb.control.handlers import plan_routes
from gslb.errors import HostError
from gslb.plan import Plan
from gslb.roles import installation
from gslb.roles.control import ControlRole
from gslb.roles.publishing.git_follow import GitFollower
from gslb.roles.settings import Settings
from gslb.snapshot.intent import Drain, Provenance
from gslb.store import AuditEntry
from tests.support.git_repository import Repository
from tests.unit.plan.world import BASE, changed, cut, put

WEIGHTS = changed(put("apps.shop.steer.1.weighted", {"dc": 60, "aws": 40}))
LARGE = changed(put("apps.shop.steer.1.weighted", {"dc": 1, "aws": 99}))


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def settings_of(repository, tmp_path, **given):
    (tmp_path / "data").mkdir(exist_ok=True)
    source = f"{repository.path}#main:policies"
    common = {"runtime": tmp_path, "data": tmp_path / "data", "roles": ("control",), "sites": tuple(BASE["sites"])}
    return Settings(**common, git=source, **given)


@contextlib.asynccontextmanager
async def running(repository, tmp_path, **given):
    role = ControlRole(settings_of(repository, tmp_path, **given))
    role.scheduler.start()
    try:
        await role.start()
        yield role
    finally:
        role.scheduler.shutdown(wait=False)
        await role.publisher.close()
        role.store.close()


def seen(role):
    told = git_seen(role.publisher.followed(), role.publisher.current()[0])
    GitSeen.model_validate(told)
    return told


async def apply(publisher, policy=None, revision=None):
    body = {"policy": policy, "revision": revision}
    made = Plan.model_validate((await plan_routes.plan(publisher, plan_messages.PlanRequest(**body)))["plan"])
    given = {"base": made.before, "digest": made.after.digest, "message": "by hand", "author": "bob"}
    await plan_routes.apply(publisher, plan_messages.ApplyRequest(**body, **given))


async def test_commits_come_into_force_with_their_author_in_the_history(repository, tmp_path):
    first = repository.commit(BASE, "the first")
    async with running(repository, tmp_path) as role:
        assert (seen(role)["commit"], seen(role)["in_force"]) == (first, True)
        second = repository.commit(WEIGHTS, "sixty\n\nbecause")
        await role.git.look()
        assert (seen(role)["commit"], seen(role)["revision"], seen(role)["author"]) == (second, 2, "git: Ann Onym")
        entry = (await role.publisher.history(1))[0].entry
        assert (entry.author, entry.action, entry.reason) == ("git: Ann Onym", "git", "sixty")
        assert entry.detail == f"commit {second}: 2 differences"
        third = repository.commit(WEIGHTS, "words alone", "--allow-empty")
        await role.git.look()
        assert (seen(role)["commit"], seen(role)["revision"], len(await role.publisher.history(9))) == (third, 2, 2)


async def test_a_broken_commit_changes_nothing_and_is_told_once(repository, tmp_path):
    good = repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        before = role.publisher.current()
        broken = repository.commit("zone: {", "oops")
        with capture_logs() as logs:
            await role.git.look()
            await role.git.look()
        assert [entry["commit"] for entry in logs if entry["log_level"] == "error"] == [broken]
        told = seen(role)
        assert (told["commit"], told["in_force"], told["refused"]["commit"]) == (good, True, broken)
        assert "policies/policy.yaml:2:1: [yaml]" in told["refused"]["why"]
        assert role.publisher.current()[1] is before[1]
        repository.commit(WEIGHTS, "mended")
        await role.git.look()
        assert (seen(role)["refused"], seen(role)["revision"]) == (None, 2)
        repository.commit("zone: {", "oops")
        await role.git.look()
        repository.git("reset", "--quiet", "--hard", "HEAD~1")
        await role.git.look()
        assert seen(role)["refused"] is None, "the branch has gone back to what is in force"


async def test_guard_rails_hold_a_commit_up_unless_its_message_says_why_not(repository, tmp_path):
    repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        repository.commit(LARGE, "all of it")
        await role.git.look()
        assert "[large-move]" in seen(role)["refused"]["why"]
        assert "such as gslb-allow: large-move REASON" in seen(role)["refused"]["why"], "there is no command line here"
        assert role.publisher.current()[0].revision == 1
        for trailer in ("gslb-allow: large-move", "gslb-allow: everything why not"):
            repository.commit(LARGE, f"all of it\n\n{trailer}")
            await role.git.look()
            assert "[trailer]" in seen(role)["refused"]["why"]
        repository.commit(LARGE, "all of it\n\ngslb-allow: large-move load test of Tuesday")
        await role.git.look()
        assert (seen(role)["refused"], seen(role)["revision"]) == (None, 2)
        entry = (await role.publisher.history(1))[0].entry
        assert entry.detail.endswith("differences --allow large-move load test of Tuesday")


async def test_what_held_a_commit_up_may_go_away(repository, tmp_path):
    """The commit is tried again at each look, and then it is in force."""
    repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        by = Provenance(author="bob", at_s=0.0)
        drain = Drain(site="dc", app="blog", by=by)
        audit = AuditEntry(at_s=0.0, author="bob", action="drain", detail="")
        await role.publisher.change(lambda intent: changes.drain(intent, drain), audit)
        repository.commit(changed(cut("apps.blog.steer"), put("apps.blog.steer", [{"only": ["dc"]}, {"first": 1}])))
        await role.git.look()
        assert "[last-site]" in seen(role)["refused"]["why"]
        await role.publisher.change(lambda intent: changes.undrain(intent, "dc", "blog"), audit)
        await role.git.look()
        assert (seen(role)["refused"], seen(role)["in_force"]) == (None, True)


async def test_a_rollback_stays_until_the_next_commit_over_restarts_and_at_other_controls(repository, tmp_path):
    repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        taken = repository.commit(WEIGHTS)
        await role.git.look()
        await apply(role.publisher, revision=1)
        await role.git.look()
        assert (seen(role)["commit"], seen(role)["in_force"]) == (taken, False)
    async with running(repository, tmp_path) as role:
        assert (role.publisher.current()[0].revision, seen(role)["in_force"]) == (3, False)
    shutil.rmtree(tmp_path / "data" / "git")  # as another control, which has the same store
    async with running(repository, tmp_path) as role:
        assert (role.publisher.current()[0].revision, seen(role)["revision"]) == (3, 2)
        repository.commit(changed(put("apps.shop.steer.1.weighted", {"dc": 50, "aws": 50})))
        await role.git.look()
        assert (seen(role)["revision"], seen(role)["in_force"]) == (4, True)


async def test_a_branch_that_is_put_back_to_a_commit_that_was_in_force_is_followed(repository, tmp_path):
    """`git push --force`, in both directions, and once more at a control that has only the store."""
    first = repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        second = repository.commit(WEIGHTS)
        await role.git.look()
        for revision, commit in ((3, first), (4, second), (5, first)):
            repository.git("reset", "--quiet", "--hard", commit)
            await role.git.look()
            assert (seen(role)["commit"], seen(role)["revision"], seen(role)["in_force"]) == (commit, revision, True)
        await apply(role.publisher, revision=2)
    shutil.rmtree(tmp_path / "data" / "git")
    async with running(repository, tmp_path) as role:
        assert (seen(role)["commit"], seen(role)["revision"], seen(role)["in_force"]) == (first, 5, False)


async def test_a_repository_that_is_gone_changes_nothing_and_is_told_once(repository, tmp_path):
    repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        away = repository.path.rename(tmp_path / "away")
        with capture_logs() as logs:
            await role.git.look()
            await role.git.look()
        assert [entry["event"] for entry in logs].count("the repository cannot be read; what was in force stays") == 1
        assert "git says" in seen(role)["error"]
        away.rename(repository.path)
        await role.git.look()
        assert (seen(role)["error"], seen(role)["in_force"]) == ("", True)


async def test_unsigned_commits_are_refused_where_signatures_are_asked_for(repository, tmp_path):
    keys = tmp_path / "allowed_signers"
    keys.write_text("")
    repository.commit(BASE)
    with pytest.raises(ExceptionGroup) as caught:
        async with running(repository, tmp_path, git_verify=keys):
            pass
    (error,) = caught.value.exceptions
    assert "can be in force: [signature] the commit has no signature by a key of" in str(error)


async def test_a_bug_that_a_commit_meets_refuses_it(repository, tmp_path, monkeypatch):
    repository.commit(BASE)
    async with running(repository, tmp_path) as role:
        repository.commit(WEIGHTS)
        monkeypatch.setattr("gslb.roles.publishing.git_follow.parse_policy", lambda _: 1 / 0)
        await role.git.look()
        assert "ZeroDivisionError" in seen(role)["refused"]["why"]


def test_the_first_start_needs_a_policy_and_later_ones_go_on(repository, tmp_path):
    settings = settings_of(repository, tmp_path)
    with pytest.raises(HostError):
        installation._policy_of_git(settings)
    repository.commit(BASE)
    assert installation._policy_of_git(settings).environment == "test"


async def test_later_starts_go_on_without_the_repository(repository, tmp_path):
    repository.commit(BASE)
    async with running(repository, tmp_path):
        pass
    shutil.rmtree(repository.path)
    assert installation._policy_of_git(settings_of(repository, tmp_path)) is None
    async with running(repository, tmp_path) as role:
        assert role.publisher.current()[0].revision == 1
        assert isinstance(role.git, GitFollower)
