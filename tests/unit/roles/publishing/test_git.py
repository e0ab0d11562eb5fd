"""Reading a policy out of a git repository with the plain program."""

from __future__ import annotations

import subprocess

import pytest

from gslb.errors import HostError, PolicyError, RefusedError
from gslb.roles.publishing import git
from gslb.roles.publishing.git import GitCopy, GitSource, parse_source
from tests.support.git_repository import Repository
from tests.unit.plan.world import BASE


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def copy_of(repository, tmp_path, keys=None, **given):
    return GitCopy(GitSource(str(repository.path), **{"folder": "policies", **given}), tmp_path / "git", keys)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://git.example/p.git", GitSource("https://git.example/p.git")),
        ("git@git.example:team/p.git#main", GitSource("git@git.example:team/p.git", "main")),
        ("/srv/p#release/2.1:deep/policies/", GitSource("/srv/p", "release/2.1", "deep/policies")),
        ("ssh://git@git.example:7999/p#:policies", GitSource("ssh://git@git.example:7999/p", "", "policies")),
    ],
)
def test_a_source_is_a_repository_a_branch_and_a_folder(text, source):
    assert parse_source(text) == source
    assert parse_source(str(source)) == source


@pytest.mark.parametrize(
    "text",
    ["", "#main", "--upload-pack=touch /tmp/x", "x#-f", "x#a..b", "x#a b", "x#main:../etc", "x#main:a//b", "x\n#main",
     "https://ann:secret@git.example/p"],
)  # fmt: skip
def test_what_is_no_source_is_refused_and_no_password_is_told(text):
    with pytest.raises(HostError) as caught:
        parse_source(text)
    assert "secret" not in str(caught.value)


def test_the_newest_commit_with_its_author_and_files(repository, tmp_path):
    copy = copy_of(repository, tmp_path)
    (repository.folder / "static.zone").write_text("www 60 IN TXT hello\n")
    (repository.folder / ".hidden.yaml").write_text("x")
    (repository.folder / "README.md").write_text("x")
    (repository.folder / "sub").mkdir()
    (repository.folder / "sub" / "other.yaml").write_text("x")
    message = "One tenth\n\nwhy\n\ngslb-allow: large-move agreed\n  with ops\ngslb-allow: host-removed gone\n"
    made = repository.commit(BASE, message)
    assert copy.newest() == made
    commit = copy.commit(made)
    assert (commit.id, commit.author, commit.subject) == (made, "git: Ann Onym", "One tenth")
    assert commit.trailers == ("large-move agreed with ops", "host-removed gone")
    assert copy.files(made).keys() == {"policies/policy.yaml", "policies/static.zone"}
    assert copy.files(made)["policies/static.zone"] == b"www 60 IN TXT hello\n"
    assert copy.signer(made) == ""
    second = repository.commit(BASE, "again")
    repository.git("checkout", "--quiet", "-b", "other")
    third = repository.commit(BASE, "elsewhere")
    assert (copy.newest(), copy_of(repository, tmp_path, branch="main").newest()) == (third, second)
    repository.git("reset", "--quiet", "--hard", made)
    assert copy.newest() == made, "a branch that is put back is followed"


def test_control_characters_do_not_reach_terminals(repository, tmp_path):
    repository.environment["GIT_AUTHOR_NAME"] = "\x1b[31mAnn\x07" + "n" * 100
    copy = copy_of(repository, tmp_path)
    commit = copy.commit((repository.commit(BASE, "red \x1b[31m alert"), copy.newest())[1])
    assert commit.author.startswith("git: [31mAnn nnn")
    assert len(commit.author) <= 64
    assert commit.subject == "red  [31m alert"


def test_links_are_not_followed_and_limits_hold(repository, tmp_path, monkeypatch):
    copy = copy_of(repository, tmp_path)
    (repository.folder / "secret.yaml").symlink_to("/etc/hostname")
    repository.commit(BASE)
    with pytest.raises(PolicyError, match=r"secret\.yaml: \[unreadable\] this is a link"):
        copy.files(copy.newest())
    (repository.folder / "secret.yaml").unlink()
    repository.commit(BASE)
    monkeypatch.setattr(git, "MAX_TOTAL_BYTES", 100)
    with pytest.raises(PolicyError, match="too much for a policy"):
        copy.files(copy.newest())
    with pytest.raises(PolicyError, match=r"no \*\.yaml file"):
        copy_of(repository, tmp_path, folder="elsewhere").files(copy.newest())


def test_a_lock_that_an_ended_git_left_holds_up_nothing(repository, tmp_path):
    repository.commit(BASE)
    copy = copy_of(repository, tmp_path)
    copy.newest()
    for name in ("shallow.lock", "refs/gslb/wanted.lock", "config.lock"):
        lock = tmp_path / "git" / "copy.git" / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    newer = repository.commit({**BASE, "more.txt": "x"})
    assert copy.newest() == newer


def test_what_git_cannot_do_is_told_with_its_words(repository, tmp_path, monkeypatch):
    with pytest.raises(HostError, match=r"git says: .*refs/heads/nothing"):
        copy_of(repository, tmp_path, branch="nothing").newest()
    with pytest.raises(HostError, match=r"git says: .*nowhere"):
        GitCopy(GitSource(str(tmp_path / "nowhere")), tmp_path / "git").newest()
    with pytest.raises(HostError, match=r"git says: .*ext"):
        GitCopy(GitSource(f"ext::touch {tmp_path}/touched"), tmp_path / "git").newest()
    assert not (tmp_path / "touched").exists()
    repository.commit(BASE)
    monkeypatch.setattr(git, "LIMIT_BYTES", 1)
    with pytest.raises(HostError, match="git says"):
        copy_of(repository, tmp_path).newest()
    monkeypatch.undo()
    monkeypatch.setattr(git, "TIMEOUT_S", 0.001)
    with pytest.raises(HostError, match="took longer"):
        copy_of(repository, tmp_path).newest()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="install git"):
        copy_of(repository, tmp_path).newest()


def test_the_copy_is_made_anew_when_it_grows(repository, tmp_path, monkeypatch):
    copy = copy_of(repository, tmp_path)
    packs = tmp_path / "git" / "copy.git" / "objects" / "pack"
    monkeypatch.setattr(git, "_PACKS", 2)
    for number in range(5):
        made = repository.commit({**BASE, "environment": f"e{number}"})
        assert copy.newest() == made
        assert 1 <= len(list(packs.glob("*.pack"))) <= 3


def sign_with_ssh(repository, tmp_path, name):
    key = tmp_path / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    repository.settings = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]
    return key.with_suffix(".pub").read_text()


def test_only_commits_that_ssh_keys_of_the_file_have_signed(repository, tmp_path):
    keys = tmp_path / "allowed_signers"
    keys.write_text("ann@example.com " + sign_with_ssh(repository, tmp_path, "ann"))
    copy = copy_of(repository, tmp_path, keys)
    signed = repository.commit(BASE, "signed", "-S")
    assert copy.newest() == signed
    assert copy.signer(signed).startswith("SHA256:")
    for more in ((), ("-S",)):
        sign_with_ssh(repository, tmp_path, f"bob{len(more)}")
        repository.commit(BASE, "by bob", *more)
        with pytest.raises(RefusedError) as caught:
            copy.signer(copy.newest())
        assert caught.value.rule == "signature"


def test_only_commits_that_openpgp_keys_of_the_file_have_signed(repository, tmp_path):
    homes = {}
    for name in ("ann", "bob"):
        home = homes[name] = tmp_path / name[0]
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        subprocess.run(
            [*gpg, "--quick-generate-key", f"{name}@example.com", "ed25519"], check=True, capture_output=True
        )
        armored = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
        (tmp_path / f"{name}.asc").write_bytes(armored)
    copy = copy_of(repository, tmp_path, tmp_path / "ann.asc")
    try:
        for name in ("ann", "bob"):
            repository.environment["GNUPGHOME"] = str(homes[name])
            repository.settings = ["-c", f"user.signingKey={name}@example.com"]
            repository.commit(BASE, "signed", "-S")
            if name == "ann":
                assert len(copy.signer(copy.newest())) == 40
            else:
                with pytest.raises(RefusedError, match="signature"):
                    copy.signer(copy.newest())
    finally:
        for home in homes.values():
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
