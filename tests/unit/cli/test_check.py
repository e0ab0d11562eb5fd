"""`gslb init`, `gslb check` and `gslb schema`, as an operator runs them, and the exit codes of the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest
import yaml

from gslb.cli import main
from gslb.model.schema import policy_schema
from gslb.model.starter import STARTER

POLICIES = Path(__file__).parents[3] / "policies"
BAD = STARTER.replace("monolith: 100", "monolith: 90").replace("ttl: 10s", "tll: 10s").replace(
    "bind: [10.0.0.4] ", 'peer: "10.0.0.4:8443" ', 1
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gslb(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main.run(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_starter_is_written_checked_and_never_overwritten(here, capsys):
    code, out, _ = gslb(capsys, "init")
    assert code == 0
    assert "gslb check policies" in out
    assert gslb(capsys, "check") == (0, "policies: good. 1 zone, 2 sites, 1 app, 2 routes\n", "")
    more = here / "policies" / "more.yaml"
    more.write_text("zones: [{name: other.example, nameservers: {ns.other.example: [198.51.100.53]}}]")
    assert "good. 2 zones," in gslb(capsys, "check")[1]
    more.unlink()
    (here / "policies" / "policy.yaml").write_text("mine")
    code, _, err = gslb(capsys, "init")
    assert (code, err.splitlines()[0]) == (1, "[exists] policies/policy.yaml is already there")
    assert (here / "policies" / "policy.yaml").read_text() == "mine"


def test_init_takes_no_folder_that_holds_another_policy(here, capsys):
    (here / "other.yaml").write_text("x: 1")
    assert gslb(capsys, "init", ".")[0] == 1
    assert gslb(capsys, "init", "new/deeper")[0] == 0


def test_init_where_nothing_can_be_written_is_the_machines_fault(here, capsys):
    (here / "file").write_text("")
    code, _, err = gslb(capsys, "init", "file/policies")
    assert code == 2
    assert "cannot be written" in err


def test_problems_come_with_place_rule_and_remedy_and_are_counted(here, capsys):
    (here / "p.yaml").write_text(BAD)
    code, out, err = gslb(capsys, "check")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "p.yaml:13:3: error [unknown-key] tll is not a key of zone"
    assert lines[1].startswith("    write ttl; the keys are name,")
    assert [line for line in lines if "[" in line and not line.startswith(" ")][1:] == [
        "p.yaml:19:9: warning [no-effect] peer has no effect: no backend says via: edge",
        "p.yaml:49:9: error [split-sum] the split adds up to 90, not 100",
    ]
    assert lines[-1] == "2 errors, 1 warning in ."


def test_warnings_alone_are_good(here, capsys):
    (here / "p.yaml").write_text(STARTER.replace("bind: [10.0.0.4] ", 'peer: "10.0.0.4:8443" ', 1))
    code, out, _ = gslb(capsys, "check")
    assert code == 0
    assert out.splitlines()[-1] == ".: good (1 warning). 1 zone, 2 sites, 1 app, 2 routes"


def test_json_has_every_field(here, capsys):
    (here / "p.yaml").write_text(BAD)
    code, out, _ = gslb(capsys, "check", "--json", ".")
    said = json.loads(out)
    assert (code, said["ok"], said["digest"]) == (1, False, None)
    assert said["problems"][0] == {
        "file": "p.yaml",
        "line": 13,
        "column": 3,
        "rule": "unknown-key",
        "message": "tll is not a key of zone",
        "remedy": "write ttl; the keys are name, nameservers, contact, ttl, records, dnssec",
        "severity": "error",
    }
    code, out, _ = gslb(capsys, "check", "--json", str(POLICIES / "blue-green"))
    said = json.loads(out)
    assert (code, said["ok"], said["problems"]) == (0, True, [])
    assert len(said["digest"]) == 16


def test_a_host_outside_the_zone_is_told_its_cname(here, capsys):
    (here / "p.yaml").write_text(STARTER.replace("[shop]", "[shop, shop.example.org]"))
    told = (
        "shop.example.org lies in no zone here; write in its own zone: shop.example.org. CNAME shop.gslb.example.com."
    )
    assert gslb(capsys, "check")[1].splitlines()[1:] == [told]
    assert json.loads(gslb(capsys, "check", "--json")[1])["aliases"] == {"shop.example.org": "shop.gslb.example.com"}
    (here / "p.yaml").write_text(BAD)
    assert json.loads(gslb(capsys, "check", "--json")[1])["aliases"] == {}


def test_this_folder_is_meant_where_it_holds_a_policy(here, capsys):
    assert "there is no such folder" in gslb(capsys, "check")[1]
    gslb(capsys, "init")
    (here / "p.yaml").write_text("x: 1")
    assert gslb(capsys, "check")[1].endswith("in .\n")


def test_the_schema_takes_what_check_takes(here, capsys):
    code, out, _ = gslb(capsys, "schema")
    schema = json.loads(out)
    assert code == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in schema
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in POLICIES.glob("*/*.yaml"):
        if path.parent.name == "gateway-api":  # documents of others, and an app whose routes stand in them
            continue
        validator.validate(yaml.safe_load(path.read_text()))
    validator.validate(yaml.safe_load(STARTER))
    short = STARTER.replace("[shop]", "shop").replace('["10.9.0.5:8080"]', '"10.9.0.5:8080"').replace(": 95,", ": 95%,")
    assert "hosts: shop" in short
    validator.validate(yaml.safe_load(short))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("environment:", "enviroment:"),
        ("sticky: cookie", "sticki: cookie"),
        ("- healthy", "- healthi"),
        ("- weighted: {dc: 90, cloud: 10}", "- weihgted: {dc: 90, cloud: 10}"),
        ("path: /healthz, interval", "path: healthz, interval"),
        ("ttl: 10s", "ttl: 10"),
        ('cloud: ["10.9.0.5:8080"]', "cloud: 5"),
        ("public: [192.0.2.10]", "public: []"),
        ("hosts: [shop]", "hosts: []"),
    ],
)
def test_the_schema_refuses_misspelt_words(old, new):
    assert old in STARTER
    policy = yaml.safe_load(STARTER.replace(old, new))
    assert not jsonschema.Draft202012Validator(policy_schema()).is_valid(policy)


def test_unknown_commands_are_guessed(capsys):
    code, _, err = gslb(capsys, "chek")
    assert code == 2
    assert "Did you mean 'check'?" in err
    assert gslb(capsys, "xyzzy")[0] == 2
    assert gslb(capsys, "check", "--nope")[0] == 2


def test_help_and_version(capsys):
    code, out, _ = gslb(capsys, "--help")
    assert code == 0
    assert all(name in out for name in ("check", "init", "schema", "run", "shift"))
    assert "jq .problems" in gslb(capsys, "check", "--help")[1]
    assert gslb(capsys, "--version")[1].startswith("gslb, version ")
    assert gslb(capsys)[0] == 2
    assert "check" in main.gslb.list_commands(click.Context(main.gslb))


def test_what_nobody_expected_is_one_line(here, capsys, monkeypatch):
    def fail(_folder: Path) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("gslb.cli.check.load_folder", fail)
    monkeypatch.delenv("GSLB_DEBUG", raising=False)
    code, out, err = gslb(capsys, "check", ".")
    assert (code, out) == (2, "")
    assert err == "gslb: unexpected RuntimeError: two lines  (GSLB_DEBUG=1 shows where)\n"
    monkeypatch.setenv("GSLB_DEBUG", "1")
    assert "Traceback" in gslb(capsys, "check", ".")[2]


def test_an_interrupt_is_130_without_a_word(here, capsys, monkeypatch):
    def interrupt(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gslb.cli.check.load_folder", interrupt)
    code, out, err = gslb(capsys, "check", ".")
    assert (code, out, err.strip()) == (130, "", "")


def python(code: str, **kwargs) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, **kwargs
    )


def test_help_does_not_load_the_models():
    done = python(
        "import sys; from gslb.cli.main import run; run(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('pydantic', 'yaml', 'aiohttp')))"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_entry_point_exits_with_the_code_and_without_colour_in_a_pipe(tmp_path):
    (tmp_path / "p.yaml").write_text(BAD)
    code = f"import sys; sys.argv = ['gslb', 'check', {str(tmp_path)!r}]; from gslb.cli.main import main; main()"
    done = python(code, env={**os.environ, "PYTHONPATH": str(POLICIES.parent)})
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
