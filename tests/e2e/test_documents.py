"""What the documents show is run: every policy passes check, every command of the tour works and prints what is shown."""

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from gslb.model.reader import parse_policy
from tests.support.running_demo import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CHANGES_EVERY_TIME = ("gslb status", "dig", "curl")


def blocks(language: str):
    for file in DOCUMENTS:
        for number, text in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", file.read_text(), re.DOTALL | re.MULTILINE)
        ):
            yield pytest.param(text, id=f"{file.name}-{number}")


@pytest.mark.parametrize("text", list(blocks("yaml")))
def test_policies_in_the_documents_pass_check(text):
    """A fragment is one file more beside the demo's policy."""
    files = {"document.yaml": text.encode()}
    if "zone:" not in text:
        files["demo.yaml"] = (ROOT / "policies" / "demo" / "demo.yaml").read_bytes()
    assert [warning for warning in parse_policy(files).warnings if warning.file == "document.yaml"] == []


def steps(text: str):
    """(command, lines that are shown below it)"""
    command, shown = None, []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        else:
            shown.append(line)
    if command:
        yield command, shown


@pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig: sh .ci/debian-packages")
async def test_the_tour_prints_what_the_readme_shows(demo):
    tour = (ROOT / "README.md").read_text().partition("## In production")[0]
    path = f"{Path(sys.executable).parent}:{demo.env['PATH']}"
    for text in re.findall(r"^```console\n(.*?)^```", tour, re.DOTALL | re.MULTILINE):
        for command, shown in steps(text):
            process = await asyncio.create_subprocess_shell(
                command, env={**demo.env, "PATH": path},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said = (await process.communicate())[0].decode()
            if command.startswith(CHANGES_EVERY_TIME):
                assert process.returncode == 0, said
                assert said[:12] == shown[0][:12] or command.startswith("dig"), (command, said)
            else:
                assert [line.rstrip() for line in said.splitlines()] == shown, command


def test_links_between_documents_lead_somewhere():
    for file in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_every_command_of_the_documents_exists():
    from gslb.cli.main import gslb

    named = {
        word
        for file in DOCUMENTS
        for word in re.findall(r"`gslb ([a-z]+)|^\$ gslb ([a-z]+)", file.read_text(), re.MULTILINE)
        for word in word
        if word
    }
    assert named <= set(gslb.list_commands(None)), named
