"""``portal audit verify`` and ``portal audit export`` on a real instance folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from portal.cli.audit import audit_group
from portal.db import create_engine, session_factory, upgrade
from portal.services import audit
from portal.services.identity.actor import system_actor
from portal.settings import Settings


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An instance with five rows in its log, known to the command line."""
    upgrade(settings)
    audit.load_audit_key(settings.instance)
    engine = create_engine(settings)
    with session_factory(engine)() as session:
        for _ in range(5):
            audit.record(session, system_actor("worker", "T"), audit.Action.TRANSCRIPTION_FINISH)
        session.commit()
    engine.dispose()
    monkeypatch.setattr("portal.cli.audit.load_settings", lambda: settings)
    return settings


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(audit_group, list(arguments))
    return done.exit_code, done.output


def test_verify(instance: Settings) -> None:
    assert run("verify") == (0, "The access log is whole: 5 rows.\n")
    code, text = run("verify", "--json")
    assert (code, json.loads(text)["rows"]) == (0, 6)  # the first verification is in the log
    assert audit.read_checkpoints(instance.instance)[-1].seq == 7
    engine = create_engine(instance)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER audit_events_no_delete"))
        connection.execute(sa.text("DELETE FROM audit_events WHERE seq = 3"))
    engine.dispose()
    code, text = run("verify")
    assert code == 1
    assert "at row 3: it is missing" in text
    assert "triggers" in text


def test_export(instance: Settings, tmp_path: Path) -> None:
    target = tmp_path / "log.csv"
    code, text = run("export", "--why", "yearly archive", "--output", str(target), "--action", "transcription")
    assert code == 0, text
    lines = target.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 7
    assert lines[-1].startswith("# rows=5 sha256=")
    assert target.stat().st_mode & 0o777 == 0o600
    assert run("export", "--why", "yearly archive", "--output", str(target))[0] == 1  # never over a file
    other = tmp_path / "other.csv"
    assert run("export", "--why", "x", "--output", str(other))[0] == 1
    assert not other.exists()
