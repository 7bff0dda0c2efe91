"""The database itself refuses to change or shorten the audit log."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.db import downgrade, upgrade
from portal.services.audit import Action, record
from portal.services.identity.actor import system_actor
from portal.settings import Settings

ATTACKS = {
    "update": "UPDATE audit_events SET actor_name = 'nobody' WHERE seq = 2",
    "delete": "DELETE FROM audit_events WHERE seq = 3",
    "number": "UPDATE audit_events SET seq = 99 WHERE seq = 1",
    "insert": "INSERT INTO audit_events SELECT 7, at, actor_id, actor_name, actor_role, address, action, object_kind,"
    " object_id, result, reason, request_id, session_hash, detail, mac FROM audit_events WHERE seq = 1",
    "head back": "UPDATE audit_head SET seq = 1",
    "head stays": "UPDATE audit_head SET mac = 'x'",
    "head gone": "DELETE FROM audit_head",
}
SQLITE_ONLY = {
    "replace": "INSERT OR REPLACE INTO audit_events SELECT seq, at, actor_id, 'nobody', actor_role, address, action,"
    " object_kind, object_id, result, reason, request_id, session_hash, detail, mac FROM audit_events WHERE seq = 2",
}
POSTGRESQL_ONLY = {"truncate": "TRUNCATE audit_events", "truncate head": "TRUNCATE audit_head"}


def _fill(session: Session) -> None:
    for _ in range(3):
        record(session, system_actor("cli", "T"), Action.SETUP)
    session.commit()


def test_the_log_only_grows(session: Session) -> None:
    _fill(session)
    own = SQLITE_ONLY if session.get_bind().dialect.name == "sqlite" else POSTGRESQL_ONLY
    for name, statement in (ATTACKS | own).items():
        print(name)  # shown when it goes through
        with pytest.raises(DBAPIError, match="the audit log only grows"):
            session.execute(sa.text(statement))
        session.rollback()
    record(session, system_actor("cli", "T"), Action.SETUP)
    session.commit()
    assert session.scalar(sa.text("SELECT count(*) FROM audit_events")) == 4


def test_going_down_removes_the_triggers_and_keeps_the_rows(session: Session, any_settings: Settings) -> None:
    _fill(session)
    session.close()
    downgrade(any_settings, "0001")
    session.execute(sa.text("UPDATE audit_events SET actor_name = 'x' WHERE seq = 2"))
    session.rollback()
    upgrade(any_settings)
    with pytest.raises(DBAPIError, match="the audit log only grows"):
        session.execute(sa.text("UPDATE audit_events SET actor_name = 'x' WHERE seq = 2"))
    session.rollback()
    assert session.scalar(sa.text("SELECT count(*) FROM audit_events")) == 3
