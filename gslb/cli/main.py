"""The command `gslb`: which commands there are, and which error ends with which exit code.

Commands live in modules of their own, imported when they are run, so that `gslb --help` is quick. No command's work
is done here.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from gslb import __version__
from gslb.errors import HostError, PolicyError, RefusedError

__all__ = ["acme_hook", "gslb", "main", "run"]

EXIT_GOOD, EXIT_POLICY, EXIT_HOST, EXIT_INTERRUPTED = 0, 1, 2, 130

_COMMANDS = {
    "init": ("gslb.cli.check:init", "Write a commented starter policy."),
    "check": ("gslb.cli.check:check", "Say whether a policy is good, and what to correct."),
    "schema": ("gslb.cli.check:schema", "Print the JSON Schema of a policy, for editors."),
    "demo": ("gslb.cli.serve:demo", "Run everything here, with example services, to try it out."),
    "run": ("gslb.cli.serve:run", "Run the roles of a policy on this machine."),
    "status": ("gslb.cli.operate:status", "Show sites, verdicts and splits as they are now."),
    "import": ("gslb.cli.import_:import_file", "Rewrite Gateway API, SMI and Istio documents as ours."),
    "explain": ("gslb.cli.explain:explain", "Say why a client gets this answer, and where its requests go."),
    "plan": ("gslb.cli.plan:plan", "Show what a policy would change: who moves where, and what refuses it."),
    "apply": ("gslb.cli.plan:apply", "Bring a policy into force: plan, show, ask, apply exactly that."),
    "rollback": ("gslb.cli.plan:rollback", "Go back to the policy of an earlier revision."),
    "diff": ("gslb.cli.plan:diff", "Show what lies between the policies of two revisions."),
    "shift": ("gslb.cli.operate:shift", "Change the split of one route, at once."),
    "drain": ("gslb.cli.drain:drain", "Take a site out."),
    "mirror": ("gslb.cli.mirror:mirror", "Stop and start mirrors, and compare what they are answered."),
    "force": ("gslb.cli.forcing:force", "Believe a site to be up or down, whatever is seen of it."),
    "unforce": ("gslb.cli.forcing:unforce", "Believe of a site what is seen again."),
    "failover": ("gslb.cli.forcing:failover", "Approve failovers that wait for a person."),
    "resume": ("gslb.cli.forcing:resume", "Let a site come back that waits for a person."),
    "undrain": ("gslb.cli.operate:undrain", "Put a site back."),
    "check-delegation": ("gslb.cli.delegation:check_delegation", "Ask the real parent whether it knows our zones."),
    "checks": ("gslb.cli.checks:checks", "Show named checks, and push the state of one."),
    "acme": ("gslb.cli.acme:acme", "Answer ACME challenges (DNS-01) from our zones."),
    "latency": ("gslb.cli.latency:latency", "Set, show or clear measured latencies."),
    "cutover": ("gslb.cli.cutover:cutover", "Say whether a name is ready to be moved here, and the way back."),
    "dnssec": ("gslb.cli.dnssec:dnssec", "Show and roll the keys of signed zones."),
    "export": ("gslb.cli.export:export", "Print zones as files, for a second DNS provider."),
    "override": ("gslb.cli.override:override", "Sign drains and stops of mirrors for nodes whose control is dead."),
    "backup": ("gslb.cli.backup:backup", "Write everything, keys too, into one encrypted file."),
    "restore": ("gslb.cli.backup:restore", "Bring back what gslb backup wrote."),
    "context": ("gslb.cli.context:context", "Keep names for installations that are asked over TCP."),
    "token": ("gslb.cli.token:token", "Make, list and revoke tokens for the API over TCP."),
    "nodes": ("gslb.cli.nodes:nodes", "Show every node: what it has, how far behind it is, and the waves."),
    "identity": ("gslb.cli.identity:identity", "Certificates between machines, for people, and for etcd."),
    "trust": ("gslb.cli.trust:trust", "Show whose signatures are believed; sign what nobody did."),
    "node": ("gslb.cli.node:node", "Nodes without control, drains in an emergency; machines that join or leave."),
    "history": ("gslb.cli.operate:history", "Show who changed what, when and why."),
}
"""Name to `module:attribute` and its line in the help."""


class LazyGroup(click.Group):
    """A group that imports a command only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        guess = difflib.get_close_matches(args[0], _COMMANDS, n=1)
        if args[0] not in _COMMANDS and guess:
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean '{guess[0]}'?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gslb")
def gslb() -> None:
    """Move traffic between a data centre and clouds, by one policy.

    \b
    Start here:
      gslb init               a starter policy in ./policies
      gslb check              is it good?
      gslb demo               see it at work

    Exit codes: 0 good; 1 the policy or the request is wrong; 2 the machine or the command line is.
    """


def main() -> None:
    """The entry point of the command line."""
    sys.exit(run(sys.argv[1:]))


def acme_hook() -> None:
    """`gslb-acme ...` is `gslb acme ...`, for clients of ACME whose hook is a program without arguments (lego)."""
    sys.exit(run(["acme", *sys.argv[1:]]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. What went wrong is said on stderr, never as a traceback unless
    GSLB_DEBUG=1 asks for one."""
    try:
        result = gslb.main(args=list(arguments), prog_name="gslb", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except (PolicyError, RefusedError) as error:
        return _say(error, EXIT_POLICY)
    except HostError as error:
        return _say(error, EXIT_HOST)
    except Exception as error:  # noqa: BLE001 - the last resort: an operator gets one line
        if os.environ.get("GSLB_DEBUG") == "1":
            traceback.print_exc()
        text = " ".join(str(error).split()) or "no message"
        click.echo(f"gslb: unexpected {type(error).__name__}: {text}  (GSLB_DEBUG=1 shows where)", err=True)
        return EXIT_HOST
    return result if isinstance(result, int) else EXIT_GOOD


def _say(error: Exception, code: int) -> int:
    click.echo(str(error), err=True)
    return code
