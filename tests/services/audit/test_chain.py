"""Whoever owns the database but not the key is found out: every way of tampering names the first bad row."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.services import audit
from portal.services.audit import Action, record, verify
from portal.services.identity.actor import system_actor
from portal.settings import Settings

ROWS = 12
COLUMNS = "at, actor_id, actor_name, actor_role, address, action, object_kind, object_id, result, reason, request_id"
FIELDS = {
    "at": "'2026-01-01 00:00:00.000000'",
    "actor_name": "'nobody'",
    "actor_role": "'staff'",
    "address": "'10.0.0.1'",
    "action": "'session.sign_in'",
    "object_kind": "'user'",
    "object_id": "'x'",
    "result": "'refused'",
    "reason": "'FORBIDDEN'",
    "request_id": "'0000-0000'",
    "session_hash": "'ab'",
    "detail": "'{}'",
    "mac": "'" + "a" * 64 + "'",
}


def fill(session: Session, rows: int = ROWS) -> None:
    for number in range(rows):
        record(session, system_actor("cli", f"T-{number}"), Action.SETUP, detail={"n": number})
    session.commit()


def without_guards(session: Session) -> None:
    """What the owner of the database does first."""
    if session.get_bind().dialect.name == "sqlite":
        for name in session.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(sa.text(f"DROP TRIGGER {name}"))
    else:
        session.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
        session.execute(sa.text("ALTER TABLE audit_head DISABLE TRIGGER ALL"))


def run(*statements: str) -> Callable[[Session], None]:
    def attack(session: Session) -> None:
        for statement in statements:
            session.execute(sa.text(statement))

    return attack


def swap(session: Session) -> None:
    # two rows exchange everything but their numbers
    columns = f"{COLUMNS}, session_hash, detail, mac"
    session.execute(sa.text("CREATE TEMP TABLE kept AS SELECT * FROM audit_events WHERE seq IN (5, 6)"))
    for mine, other in ((5, 6), (6, 5)):
        sets = ", ".join(
            f"{c.strip()} = (SELECT {c.strip()} FROM kept WHERE seq = {other})" for c in columns.split(",")
        )
        session.execute(sa.text(f"UPDATE audit_events SET {sets} WHERE seq = {mine}"))


def set_head_back(to: int) -> str:
    return f"UPDATE audit_head SET seq = {to}, mac = (SELECT mac FROM audit_events WHERE seq = {to})"


ATTACKS: dict[str, tuple[Callable[[Session], None], int, str]] = {
    "swap": (swap, 5, "altered"),
    "first removed": (run("DELETE FROM audit_events WHERE seq = 1"), 1, "missing"),
    "middle removed": (run("DELETE FROM audit_events WHERE seq = 6"), 6, "missing"),
    "last removed": (run(f"DELETE FROM audit_events WHERE seq = {ROWS}"), ROWS, "missing"),
    "tail removed": (run("DELETE FROM audit_events WHERE seq > 4"), 5, "missing"),
    "tail removed, head set back": (run("DELETE FROM audit_events WHERE seq > 4", set_head_back(4)), 5, "head"),
    "removed and renumbered": (
        run("DELETE FROM audit_events WHERE seq = 6", *(f"UPDATE audit_events SET seq = {n - 1} WHERE seq = {n}"
            for n in range(7, ROWS + 1)), f"UPDATE audit_head SET seq = {ROWS - 1}"), 6, "altered",
    ),
    "added at the end": (
        run(f"INSERT INTO audit_events SELECT {ROWS + 1}, {COLUMNS}, session_hash, detail, mac FROM audit_events"
            " WHERE seq = 3"), ROWS + 1, "added",
    ),
    "added with its head": (
        run(f"INSERT INTO audit_events SELECT {ROWS + 1}, {COLUMNS}, session_hash, detail, mac FROM audit_events"
            f" WHERE seq = 3", f"UPDATE audit_head SET seq = {ROWS + 1}"), ROWS + 1, "altered",
    ),
    "head removed": (run("DELETE FROM audit_head"), 1, "added"),
    "head forged": (run("UPDATE audit_head SET seal = 'x'"), ROWS + 1, "head"),
}  # fmt: skip


def test_an_untouched_log_is_whole(session: Session) -> None:
    assert verify(session).ok
    fill(session)
    found = verify(session)
    assert (found.ok, found.count, found.bad_seq, found.guards_missing) == (True, ROWS, None, False)


def test_each_way_of_tampering_is_found_and_the_first_bad_row_named(session: Session) -> None:
    fill(session)
    for name, (attack, bad_seq, problem) in ATTACKS.items():
        without_guards(session)
        attack(session)
        found = verify(session)
        session.rollback()
        assert (found.problem, found.bad_seq) == (problem, bad_seq), name
        assert found.guards_missing, name
    assert verify(session).ok


def test_a_change_of_any_field_is_found(session: Session) -> None:
    fill(session)
    for field, value in FIELDS.items():
        without_guards(session)
        session.execute(sa.text(f"UPDATE audit_events SET {field} = {value} WHERE seq = 7"))
        found = verify(session)
        session.rollback()
        assert (found.problem, found.bad_seq) == ("altered", 7), field


def test_without_the_key_nobody_can_forge_a_whole_chain(session: Session, tmp_path: Path) -> None:
    fill(session)
    audit.load_audit_key(tmp_path / "other")  # a chain that is right under another key
    assert verify(session).bad_seq == 1


def test_the_witness_file_finds_a_database_put_back_to_yesterday(settings: Settings, tmp_path: Path) -> None:
    from portal.db import create_engine, session_factory, upgrade

    upgrade(settings)
    audit.load_audit_key(settings.instance)
    engine = create_engine(settings)
    database, yesterday = settings.instance / "portal.sqlite3", tmp_path / "yesterday.sqlite3"
    with session_factory(engine)() as session:
        fill(session)
        audit.write_checkpoint(session, settings.instance)
        session.rollback()
        session.connection().exec_driver_sql("SELECT 1")
        session.commit()
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(database, yesterday)
    with session_factory(engine)() as session:
        fill(session)
        assert audit.write_checkpoint(session, settings.instance) == audit.read_checkpoints(settings.instance)[-1]
        assert audit.write_checkpoint(session, settings.instance) is None
        assert verify(session, audit.read_checkpoints(settings.instance)).ok
    engine.dispose()
    for leftover in settings.instance.glob("portal.sqlite3*"):
        leftover.unlink()
    shutil.copy(yesterday, database)
    with session_factory(engine)() as session:
        assert verify(session).ok  # the database alone can't know
        found = verify(session, audit.read_checkpoints(settings.instance))
        assert (found.problem, found.bad_seq) == ("rolled_back", ROWS + 1)
        session.rollback()
        fill(session, rows=ROWS)  # and another history was written over it
        found = verify(session, audit.read_checkpoints(settings.instance))
        assert (found.problem, found.bad_seq) == ("rolled_back", 2 * ROWS)
    engine.dispose()


def test_forged_and_broken_lines_of_the_witness_file_count_for_nothing(session: Session, tmp_path: Path) -> None:
    fill(session)
    audit.write_checkpoint(session, tmp_path)
    file = tmp_path / "audit_checkpoints.jsonl"
    genuine = audit.read_checkpoints(tmp_path)
    file.write_text(file.read_text() + '{"seq": 99, "mac": "x", "seal": "y"}\n{"seq": 4\nnot json\n')
    assert audit.read_checkpoints(tmp_path) == genuine
    assert dataclasses.astuple(genuine[0])[0] == ROWS


def test_a_log_that_cannot_be_written_stops_the_act(session: Session) -> None:
    from portal.errors import PortalError

    fill(session)
    if session.get_bind().dialect.name == "sqlite":
        session.execute(sa.text(
            "CREATE TRIGGER broken BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'read only'); END"
        ))  # fmt: skip
    else:
        session.execute(sa.text("ALTER TABLE audit_events ADD CONSTRAINT broken CHECK (seq < 5) NOT VALID"))
    session.commit()
    with pytest.raises(PortalError) as refused:
        record(session, system_actor("cli", "T"), Action.SETUP)
    assert refused.value.code == "AUDIT_UNAVAILABLE"
    session.rollback()
