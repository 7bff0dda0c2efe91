"""A real directory for the wing identity, and what its tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy.orm import Session, sessionmaker

from portal.db import create_engine, upgrade
from portal.models import AuditEvent, Role
from portal.services.audit import load_audit_key
from portal.services.identity import accounts, passwords
from portal.services.identity.actor import system_actor
from portal.settings import Settings
from tests.support import slapd as support

Begin = Callable[[], AbstractContextManager[Session]]
PASSWORD = "a long and honest password"


@pytest.fixture(scope="session")
def slapd() -> Iterator[support.Slapd]:
    """One OpenLDAP server for all tests of the wing."""
    with support.slapd() as server:
        yield server


@pytest.fixture
def ldap_settings(any_settings: Settings, slapd: support.Slapd) -> Settings:
    """Settings that point to the test directory."""
    return with_directory(any_settings, slapd)


def with_directory(settings: Settings, server: support.Slapd, *urls: str, **more: Any) -> Settings:
    """The same settings with a directory."""
    values = {
        "ldap_urls": urls or (server.ldaps,),
        "ldap_ca_file": server.ca_file,
        "ldap_bind_dn": support.BIND_DN,
        "ldap_bind_password": support.BIND_PASSWORD,
        "ldap_base_dn": support.BASE,
    }
    return settings.model_copy(update=values | more)


@pytest.fixture
def begin(any_settings: Settings) -> Iterator[Begin]:
    """Short transactions on a migrated database, SQLite and PostgreSQL in turn; safe to use from threads."""
    upgrade(any_settings)
    load_audit_key(any_settings.instance)
    engine = create_engine(any_settings)
    yield sessionmaker(engine, expire_on_commit=False).begin
    engine.dispose()


@pytest.fixture(autouse=True)
def quick_hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with next to no cost, except where a test measures time."""
    if "real_hashing" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        monkeypatch.setattr(passwords, "_decoy", None)


@pytest.fixture
def real_hashing() -> None:
    """Keep argon2id as slow as it is for people."""


@pytest.fixture
def hashed() -> str:
    """The argon2 hash of ``PASSWORD``."""
    return passwords.hash_password(PASSWORD)


@pytest.fixture
def local_lin(begin: Begin, hashed: str) -> str:
    """A local everyday account; its login."""
    with begin() as session:
        by = system_actor("cli", "T")
        accounts.create_local(session, by, login="lin", display_name="林", role=Role.STAFF, password_hash=hashed)
    return "lin"


def audit_rows(begin: Begin, action: str) -> list[tuple[str, str | None, str]]:
    """Result, reason and actor name of all rows of an act, oldest first."""
    with begin() as session:
        wanted = sa.select(AuditEvent).where(AuditEvent.action == action).order_by(AuditEvent.seq)
        return [(row.result, row.reason, row.actor_name) for row in session.scalars(wanted)]
