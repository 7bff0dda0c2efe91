"""``portal engine papers``: certificates with which engines on other hosts and their callers know each other."""

from __future__ import annotations

import re
from pathlib import Path

import click

from portal.settings import load_settings
from portal.supervisor import tls

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}")


@click.command("papers")
@click.argument("names", nargs=-1, required=True, metavar="HOST...")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="Folder; default: <instance>/engine-tls."
)
def papers_command(names: tuple[str, ...], into: Path | None) -> None:
    """Make a certificate for each HOST (a name or an address), signed by an authority that signs nothing else.

    Copy a host's folder to it: ca.crt, server.crt and server.key are its engine_tls_authority, engine_tls_certificate
    and engine_tls_key. The authority's key stays here. Running it again renews what is about to end.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise click.ClickException(f"{name!r} is no host name or address")
    root = into or load_settings().instance / "engine-tls"
    for name in names:
        files = tls.ensure_sibling(root, name)
        click.echo(f"{'made' if files.renewed else 'kept'} {files.certificate.parent}")
