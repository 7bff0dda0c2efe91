"""``portal db``: bring the database up to date, or say where it stands."""

from __future__ import annotations

import click


@click.group()
def database_group() -> None:
    """Upgrade the database."""


@database_group.command()
def upgrade() -> None:
    """Bring the database to this version's tables; makes it when missing."""
    from portal.db import upgrade as upgrade_database
    from portal.settings import load_settings

    upgrade_database(load_settings())
    click.echo("The database is up to date.")


@database_group.command()
def current() -> None:
    """Print the revision the database is at, and the newest one."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from portal.db import alembic_config, create_engine
    from portal.settings import load_settings

    settings = load_settings()
    engine = create_engine(settings)
    with engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    newest = ScriptDirectory.from_config(alembic_config(settings.effective_database_url)).get_current_head()
    click.echo(f"{here or 'empty'} (newest: {newest})")
