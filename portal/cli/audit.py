"""``portal audit``: verify and export the access log from the command line, for timers and for the archive."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy.orm import Session, sessionmaker

from portal.db import create_engine, read_only, session_factory
from portal.errors import PortalError
from portal.services import audit
from portal.services.audit import AuditFilter
from portal.services.identity.actor import Actor, system_actor
from portal.settings import Settings, SettingsError, load_settings

PROBLEMS = {
    "altered": "its content was changed",
    "missing": "it is missing",
    "added": "the portal did not write it",
    "head": "the head of the chain was changed",
    "rolled_back": "it differs from the witness file; the database may be an older one",
}


@contextmanager
def _opened() -> Iterator[tuple[Settings, sessionmaker[Session]]]:
    try:
        settings = load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    audit.load_audit_key(settings.instance)
    engine = create_engine(settings)
    try:
        yield settings, session_factory(engine)
    finally:
        engine.dispose()


def _actor() -> Actor:
    return system_actor("cli", f"CLI-{secrets.token_hex(4)}")


@click.group("audit")
def audit_group() -> None:
    """Verify and export the access log."""


@audit_group.command("verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a sentence.")
def verify_command(as_json: bool) -> None:
    """Walk the whole chain; exit status 1 and the first bad row's number when it is broken."""
    with _opened() as (settings, sessions):
        with read_only(), sessions() as session:
            found = audit.verify(session, audit.read_checkpoints(settings.instance))
        with sessions() as session, session.begin():
            audit.record_verification(session, _actor(), found)
        if found.ok:
            with sessions() as session:
                audit.write_checkpoint(session, settings.instance)
    if as_json:
        values = {"ok": found.ok, "rows": found.count, "bad_seq": found.bad_seq, "problem": found.problem}
        click.echo(json.dumps(values | {"guards_missing": found.guards_missing}))
    elif found.ok:
        click.echo(f"The access log is whole: {found.count:,} rows.")
    else:
        reason = PROBLEMS[str(found.problem)]
        click.echo(
            f"The access log was tampered with at row {found.bad_seq}: {reason}. Secure the database and its backups."
        )
    if found.guards_missing and not as_json:
        click.echo("The database's own triggers against changes are not all there.", err=True)
    if not found.ok:
        raise SystemExit(1)


@audit_group.command("export")
@click.option("--why", required=True, help="Why; kept in the log (6 to 200 characters).")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="New file to write.")
@click.option("--person", default="", help="Part of a login or a name.")
@click.option("--action", default="", help="An action such as transcript.open, or a family such as transcript.")
@click.option("--result", default="", type=click.Choice(["", "ok", "refused", "failed"]))
@click.option("--since", type=click.DateTime(), help="Local time; from this moment on.")
@click.option("--until", type=click.DateTime(), help="Local time; before this moment.")
def export_command(
    why: str, output: Path, person: str, action: str, result: str, since: datetime | None, until: datetime | None
) -> None:
    """Write what the filter matches as CSV (mode 0600); the last line holds row count and SHA-256."""
    wanted = AuditFilter(
        person=person,
        action=action,
        result=result,
        since=since.astimezone() if since else None,
        until=until.astimezone() if until else None,
    )
    with _opened() as (_settings, sessions):
        try:
            fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise click.ClickException(f"{output}: {error.strerror}") from None
        with os.fdopen(fd, "wb") as file:
            try:
                with sessions() as session, session.begin():
                    begun = audit.begin_export(session, _actor(), wanted, why)
            except PortalError as error:
                output.unlink()
                raise click.ClickException("--why must have 6 to 200 characters" if error.code == "INVALID_VALUE"
                                           else error.code) from None  # fmt: skip
            file.writelines(audit.stream_csv(sessions, begun))
            file.flush()
            os.fsync(file.fileno())
    click.echo(f"Written: {output}")
