"""Fixtures that every suite uses: settings in a fresh folder, both databases, the application, a world of people."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.app import create_app
from portal.db import create_engine, db, session_factory, upgrade
from portal.models import User
from portal.services.audit import load_audit_key
from portal.settings import Settings, load_settings
from tests.support import postgres
from tests.support.world import World, make_world
from tests.support.world import sign_in as give_session

for _name in [name for name in os.environ if name.startswith("PORTAL_") and not name.startswith("PORTAL_TEST_")]:
    del os.environ[_name]
# torch in the test's own process: threads that spin beside browsers and servers on two cores cost many times the work
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a private cluster's maintenance database."""
    with postgres.cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Both databases in turn: None means SQLite in the instance folder, else an address of a fresh database."""
    if request.param == "sqlite":
        yield None
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite in a fresh instance folder. For both databases use ``any_settings``."""
    return load_settings(instance=tmp_path / "instance")


@pytest.fixture
def any_settings(tmp_path: Path, database: str | None) -> Settings:
    """Settings on each database in turn."""
    return load_settings(instance=tmp_path / "instance", database_url=database)


def _session(settings: Settings) -> Iterator[Session]:
    upgrade(settings)
    load_audit_key(settings.instance)
    engine: sa.Engine = create_engine(settings)
    with session_factory(engine)() as session:
        yield session
    engine.dispose()


@pytest.fixture
def session(any_settings: Settings) -> Iterator[Session]:
    """A migrated database and a session on it, SQLite and PostgreSQL in turn: for tests of services."""
    yield from _session(any_settings)


@pytest.fixture
def people(session: Session) -> World:
    """The world of people on ``session``'s database."""
    world = make_world(session)
    session.commit()
    return world


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on SQLite, migrated; CSRF checks are off (their own test turns them on)."""
    upgrade(settings)
    application = create_app(settings)
    application.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    yield application
    with application.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def world(app: Flask) -> World:
    """The world of people in the application's database, detached from any session."""
    with app.app_context():
        world = make_world(db.session())
        db.session.commit()
        for person in (world.lin, world.wang, world.zhao, world.admin, world.auditor):
            db.session.refresh(person)
        db.session.expunge_all()
    return world


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a session."""
    return app.test_client()


@pytest.fixture
def client_of(app: Flask) -> Callable[[User], FlaskClient]:
    """``client_of(world.lin)``: a browser in which that person is signed in."""

    def make(user: User) -> FlaskClient:
        client = app.test_client()
        with app.app_context():
            give_session(client, db.session(), user)
        return client

    return make
