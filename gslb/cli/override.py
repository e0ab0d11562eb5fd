"""`gslb override`: keys of people for emergencies, and drains and stops of mirrors that they sign, for nodes with
control and store dead. Arguments, files and printing only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from gslb import clock
from gslb.cli.mirror_scope import SCOPE, named, parts
from gslb.cli.operate import FOR, REASON, author
from gslb.cli.passphrase import PASSPHRASE_FILE, passphrase
from gslb.errors import HostError, RefusedError
from gslb.trust.emergency import KEY_MARK, Emergency, MirrorEmergency, SiteEmergency, signed_override
from gslb.trust.passphrase import FRESH_BYTES, open_file, require_strong, seal_file
from gslb.trust.private_files import write_private
from gslb.trust.signer_files import FOLDER, TrustFolder
from gslb.trust.signing import KEY_BYTES, PrivateKey, Signer, Signers, make_key, octets_of, public_of
from gslb.whole_file import read_limited

__all__ = ["is_about_mirrors", "override", "read_signed"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_OUTPUT = click.option("-o", "--output", type=_FILE, required=True, metavar="FILE", help="Where to write it.")
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default="/var/lib/gslb",
    show_default=True,
    help="The data folder of this machine.",
)
_LIMIT_BYTES = 4096


@click.group()
def override() -> None:
    """Signed drains and stops of mirrors, for when control and store are dead and nobody can be root everywhere.

    \b
    Beforehand, once:
      gslb override key ann -o ann.key          a key under a passphrase, and ann.key.pub
      gslb override believe ann.key.pub         on the machine of a control (all others follow)
    When it burns:
      gslb override sign drain dc --environment production --for 4h --key ann.key -o drain.json
      gslb override sign mirror stop shop/pay --environment production --key ann.key -o stop.json
      gslb node override drain.json --all       on any machine, by anybody
    """


@override.command(epilog="Example: gslb override key ann -o ann.key")
@click.argument("name", metavar="NAME")
@_OUTPUT
@PASSPHRASE_FILE
def key(*, name: str, output: Path, passphrase_file: Path | None) -> None:
    """Make an emergency key: FILE is sealed under a passphrase, FILE.pub is for the machines."""
    phrase = passphrase(passphrase_file, confirm=True)
    require_strong(phrase)
    if output.exists():
        raise RefusedError("known-key", f"{output} is there already", "name another file: a key is never replaced")
    private = make_key(secrets.token_bytes(KEY_BYTES))
    signer = Signer.of(public_of(private), name, "emergency")
    write_private(output.absolute(), seal_file(KEY_MARK, phrase, octets_of(private), secrets.token_bytes(FRESH_BYTES)))
    public = output.with_name(f"{output.name}.pub").absolute()
    write_private(public, signer.model_dump_json().encode() + b"\n", 0o644)
    click.echo(f"key {signer.id} of {name}: {output}, and its public half {output}.pub")
    click.echo(f"on the machine of a control: gslb override believe {output.name}.pub")


@override.command(epilog="Example: gslb override believe ann.key.pub")
@click.argument("public", metavar="FILE.pub", type=_FILE)
@_DATA
def believe(*, public: Path, data: Path) -> None:
    """Take overrides that the key has signed. Where a control is, every machine of the installation hears of it, within
    seconds."""
    signer = _public(public)
    told = _believe(data, lambda known: known.with_signer(signer))
    _record(data, "believe-key", signer)
    click.echo(f"the emergency key {signer.id} of {signer.name} is believed: {told}")
    click.echo(f"to undo: gslb override forget {signer.id}")


@override.command(epilog="Example: gslb override forget 0123456789abcdef")
@click.argument("signer", metavar="KEY-ID")
@_DATA
def forget(*, signer: str, data: Path) -> None:
    """Believe an emergency key no more."""
    known = next((item for item in _trust(data).signers().signers if item.id == signer), None)
    if known is None or known.kind != "emergency":
        raise RefusedError("unknown-key", f"no emergency key {signer} is believed here", "see gslb trust signers")
    told = _believe(data, lambda signers: signers.without(signer))
    _record(data, "forget-key", known)
    click.echo(f"the key {signer} of {known.name} is believed no more: {told}")


@override.group()
def sign() -> None:
    """Sign a drain, a stop of mirrors, or the end of either, into a file."""


def _signing(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        PASSPHRASE_FILE, REASON, _OUTPUT,
        click.option("--good-for", metavar="TIME", default="1d", show_default=True, callback=_seconds,
                     help="How long nodes may take it; 30 days at most."),
        click.option("--key", "key_file", type=_FILE, required=True, metavar="FILE", help="The emergency key."),
        click.option("--environment", required=True, metavar="NAME", help="The policy's: no other one takes it."),
    ):  # fmt: skip
        command = option(command)
    return command


_APP = click.option("--app", metavar="APP", help="For this app alone.")


def _seconds(_context: click.Context, _option: click.Parameter, text: str) -> float:
    from gslb.model.words import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@sign.command(
    epilog="Example: gslb override sign drain dc --environment production --for 4h --key ann.key -o drain.json"
)
@click.argument("site", metavar="SITE")
@click.option("--entry", "entry_only", is_flag=True, help="Leave DNS only.")
@click.option("--allow", multiple=True, type=click.Choice(("last-site",)), help="Overrule a refusal by its name.")
@FOR
@_APP
@_signing
def drain(**given: Any) -> None:
    """Take a site out. With --for it ends by itself, counted from now."""
    _sign(SiteEmergency, action="drain", what=f"drain of {given['site']}", **given)


@sign.command(epilog="Example: gslb override sign undrain dc --environment production --key ann.key -o back.json")
@click.argument("site", metavar="SITE")
@_APP
@_signing
def undrain(**given: Any) -> None:
    """Put a site back."""
    _sign(SiteEmergency, action="undrain", what=f"end of the drain of {given['site']}", **given)


@sign.group()
def mirror() -> None:
    """Sign that mirrors copy nothing, or copy again."""


_MIRROR_STOP = "gslb override sign mirror stop shop/pay --environment production --for 4h --key ann.key -o stop.json"
_MIRROR_START = "gslb override sign mirror start shop/pay --environment production --key ann.key -o start.json"


@mirror.command(epilog=f"Example: {_MIRROR_STOP}")
@SCOPE
@FOR
@_signing
def stop(*, scope: str | None, **given: Any) -> None:
    """Let mirrors copy nothing: of a route, of an app, or all of them.

    With --for it ends by itself, counted from now.
    """
    app, route = parts(scope)
    _sign(MirrorEmergency, action="mirror-stop", what=f"stop of {named(scope)}", app=app, route=route, **given)


@mirror.command(epilog=f"Example: {_MIRROR_START}")
@SCOPE
@_signing
def start(*, scope: str | None, **given: Any) -> None:
    """Let mirrors copy again, with the scope that they were stopped with."""
    app, route = parts(scope)
    _sign(MirrorEmergency, action="mirror-start", what=f"start of {named(scope)}", app=app, route=route, **given)


def _sign(kind: type[Emergency], *, what: str, key_file: Path, output: Path, good_for: float, **given: Any) -> None:
    now_s, lasting = clock.wall_s(), given.pop("lasting", None)
    private = _private(key_file, given.pop("passphrase_file"))
    times = {
        "signed_s": now_s,
        "good_until_s": now_s + good_for,
        "expires_s": None if lasting is None else now_s + lasting,
    }
    try:
        asked = kind(id=secrets.token_hex(16), author=author(), **times, **given)
    except ValidationError as error:
        item = error.errors()[0]
        raise click.UsageError(f"{'.'.join(map(str, item['loc']))}: {item['msg']}") from None
    signed = signed_override(private, asked)
    write_private(output.absolute(), signed.model_dump_json(indent=1).encode() + b"\n", 0o644)
    click.echo(f"environment {asked.environment}: {what}, signed by {signed.signer}, is in {output}")
    where = "a machine with an edge" if kind is MirrorEmergency else "any machine"
    click.echo(f"on {where}: gslb node override {output} --all")


def _private(file: Path, passphrase_file: Path | None) -> PrivateKey:
    octets = open_file(KEY_MARK, passphrase(passphrase_file), read_limited(file, _LIMIT_BYTES), str(file))
    return make_key(octets)


def _public(file: Path) -> Signer:
    try:
        signer = Signer.model_validate_json(read_limited(file, _LIMIT_BYTES))
    except ValidationError as error:
        raise RefusedError("no-key", f"{file} is no public key: {error.errors()[0]['msg']}", "name FILE.pub") from None
    if signer.kind != "emergency":
        raise RefusedError("no-key", f"{file} is no emergency key", "name what gslb override key has written")
    return signer


def _trust(data: Path) -> TrustFolder:
    if not data.is_dir():
        raise HostError(f"there is no data folder {data}", "name the one of gslb run: --data DIR")
    return TrustFolder(data / FOLDER)


def _believe(data: Path, make: Callable[[Signers], Signers]) -> str:
    """Change whom the installation believes; how far that has got. An emergency does not wait for a store that is
    silent."""
    from gslb.roles.publishing.believing import believing_at

    believing = believing_at(data)
    if believing is None:
        _trust(data).change(make)
        return "on this machine alone, until a control tells it more"
    try:
        made = believing.change(make)
    except HostError as error:
        _trust(data).change(make)
        click.echo(f"the other machines are told when the store answers: {error}", err=True)
        return "on this machine"
    return f"list {made.number} of the installation"


def _record(data: Path, action: str, signer: Signer) -> None:
    """In the history. An emergency does not wait for a store that is silent."""
    from gslb.roles.identities.trust_home import home_at

    try:
        home_at(data).record(author(), action, f"{signer.id} of {signer.name}")
    except (HostError, RefusedError) as error:
        click.echo(f"the history does not have it: {error}", err=True)


def read_signed(file: Path) -> dict[str, Any]:
    """A signed override, to be handed on as it is. Raises HostError and RefusedError."""
    from gslb.trust.emergency import LIMIT_BYTES

    try:
        content = json.loads(read_limited(file, LIMIT_BYTES))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RefusedError("no-override", f"{file} is no signed override", "make one: gslb override sign")
    return content


def is_about_mirrors(signed: Mapping[str, Any]) -> bool:
    """Whether what was read is for edges alone. Whether it is good at all is the nodes' to say."""
    try:
        return str(json.loads(signed["override"])["action"]).startswith("mirror-")
    except (KeyError, TypeError, ValueError):
        return False
