"""The SQL database: engine options, naming, UTC times and how a transaction begins.

SQLite runs in WAL with ``synchronous=FULL`` (an acknowledged commit survives a power cut) and starts every writing
transaction with ``BEGIN IMMEDIATE``: a deferred one that reads first and writes later fails at once with "database is
locked" when another writer got in between, whatever the busy timeout. Pages that only read say so with
``read_only()`` and then never wait for writers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Session, registry, sessionmaker
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from portal.settings import Settings

BUSY_TIMEOUT_MS = 5_000
MIGRATIONS = Path(__file__).parent.parent / "migrations"

_read_only: ContextVar[bool] = ContextVar("portal_db_read_only", default=False)


def utcnow() -> datetime:
    """Now, aware, UTC, to the microsecond."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; naive values are refused on the way in and never come out."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time reached the database")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JsonValue = sa.JSON(none_as_null=True)


class Base(DeclarativeBase):
    """Base of every model; the naming convention keeps constraint names equal on SQLite and PostgreSQL."""

    registry = registry(
        metadata=sa.MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={datetime: UtcDateTime, dict[str, Any]: JsonValue, list[Any]: JsonValue},
    )


db = SQLAlchemy(model_class=Base)


@contextmanager
def read_only() -> Iterator[None]:
    """Transactions begun inside only read: on SQLite they start deferred and take no write lock."""
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)


@contextmanager
def writing() -> Iterator[None]:
    """Transactions begun inside write, also within a request that only reads."""
    token = _read_only.set(False)
    try:
        yield
    finally:
        _read_only.reset(token)


def set_read_only(value: bool) -> None:
    """The same for one web request, whose context ends by itself."""
    _read_only.set(value)


def engine_options(url: str) -> dict[str, Any]:
    """Keyword arguments of ``create_engine`` for this address. A failing statement never names its values: they would
    end in the logs, and they are what people said.
    """
    if url.startswith("sqlite"):
        connect_args = {"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
        return {"hide_parameters": True, "connect_args": connect_args}
    return {
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": 10,
        "pool_timeout": 5,
        "connect_args": {"connect_timeout": 3, "options": "-c timezone=utc -c lock_timeout=5000"},
    }


def configure_engine(engine: sa.Engine) -> None:
    """Attach the SQLite rules to an engine; does nothing for PostgreSQL."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "secure_delete=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if _read_only.get() else "BEGIN IMMEDIATE")


def create_engine(settings: Settings) -> sa.Engine:
    """An engine outside of Flask (workers, housekeeping, CLI, tests)."""
    url = settings.effective_database_url
    engine = sa.create_engine(url, **engine_options(url))
    configure_engine(engine)
    return engine


def session_factory(engine: sa.Engine) -> sessionmaker[Session]:
    """Sessions for processes without Flask."""
    return sessionmaker(engine, expire_on_commit=False)


def alembic_config(url: str) -> Config:
    """Alembic's configuration without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the database to ``revision``; creates the SQLite file and its folder (0700) when missing."""
    if settings.database_url is None:
        settings.instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    command.upgrade(alembic_config(settings.effective_database_url), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Go back to ``revision`` (``base`` empties the database)."""
    command.downgrade(alembic_config(settings.effective_database_url), revision)
