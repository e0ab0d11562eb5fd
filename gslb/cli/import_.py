"""`gslb import`: foreign documents rewritten as ours. Arguments and printing only."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from gslb.cli.printing import problem_text
from gslb.errors import PolicyError
from gslb.model.imported import import_documents

__all__ = ["import_file"]


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--policy", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
              help="Documents of ours with the zone, the sites and the `services` that FILE names.")  # fmt: skip
def import_file(file: Path, policy: Path | None) -> None:
    """Rewrite the Gateway API, SMI or Istio documents in FILE as apps of ours, on standard output.

    Services are looked for in `services` of the policy in DIR. What cannot be honoured is an error that names the
    field, with its line; warnings go to standard error. Nothing is changed: write the output into the policy folder,
    and take FILE out of it.

    \b
    Examples:
      gslb import routes.yaml --policy policies > policies/apps.yaml
      kubectl get httproutes,gateways -A -o yaml | gslb import /dev/stdin --policy policies
    """
    ours = {str(path): path.read_bytes() for path in sorted(policy.glob("*.yaml"))} if policy else {}
    apps, problems = import_documents(str(file), file.read_bytes(), ours)
    for problem in problems:
        click.echo(problem_text(problem), err=True)
    if any(problem.severity == "error" for problem in problems):
        raise PolicyError([problem for problem in problems if problem.severity == "error"])
    click.echo(yaml.safe_dump({"apps": apps}, sort_keys=False, width=120), nl=False)
