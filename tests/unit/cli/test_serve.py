from __future__ import annotations

import pytest
from click.testing import CliRunner

from gslb.cli.serve import run


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("etcd://10.0.0.1:99999/gslb", "no HOST:PORT"),
        ("http://10.0.0.1:2379", "etcd://10.0.0.1:2379,10.0.0.2:2379"),
        ("gslb.db", "does not begin with etcd://"),
    ],
)
def test_a_store_that_is_none_is_refused_before_anything_starts(url, why, tmp_path):
    result = CliRunner().invoke(run, ["--store", url, "--data", str(tmp_path / "d"), "--runtime", str(tmp_path / "r")])
    assert result.exit_code == 2
    assert why in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--git", "https://ann:secret@git.example/p"], "holds a password"),
        (["--git", "x#-f"], "is no branch"),
        (["--git", "x#main", "--git-interval", "soon"], "is not a duration"),
        (["policies", "--git", "x#main"], "takes the place of the folder"),
        (["--git-verify", "keys"], "belongs to --git"),
    ],
)
def test_a_repository_that_is_none_is_refused_before_anything_starts(options, why, tmp_path):
    result = CliRunner().invoke(run, [*options, "--data", str(tmp_path / "d"), "--runtime", str(tmp_path / "r")])
    assert result.exit_code == 2
    assert why in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "d").exists()
