"""What is done to the engine stands in the log before it is asked and after it has answered, once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlalchemy.orm import Session

from portal.asr.engine.contract import Change, RecordingOptions
from portal.asr.engine.fake import fake_model
from portal.asr.engine.manifest import Registry, inspect
from portal.asr.engine.releases import SHIPPED
from portal.asr.errors import EngineFailed
from portal.cli.engine import engine_group
from portal.db import create_engine, session_factory, upgrade
from portal.errors import Forbidden
from portal.jobs.housekeeping import House
from portal.models import AuditEvent
from portal.services.administration import engine, engine_acts
from portal.services.audit import load_audit_key
from portal.services.identity.actor import system_actor
from portal.settings import Settings, load_settings
from tests.support.fake_engine import fake_engine
from tests.support.world import World, actor

NEXT = fake_model(name="next").digest
ENDED = Change("switch", "done", NEXT, 1_000.0, before_bytes=4 << 30, after_bytes=6 << 30, id="c1", ended=1_012.0)


def rows(session: Session) -> Sequence[AuditEvent]:
    return session.scalars(sa.select(AuditEvent).order_by(AuditEvent.seq)).all()


@pytest.fixture
def shelf(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The shipped model and a registered one; name → digest."""
    shutil.copytree(SHIPPED / "seaco", tmp_path / "paraformer-2")
    with (tmp_path / "paraformer-2" / "am.mvn").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    folder, manifest = inspect(tmp_path / "paraformer-2")
    Registry(settings.installed_models_file).record(folder, manifest, "2026-11-02T09:30:00+00:00")
    return {"seaco": inspect(SHIPPED / "seaco")[1].digest, "paraformer-2": manifest.digest}


def test_only_administrators_and_the_server_itself(session: Session, people: World) -> None:
    for person in (people.lin, people.auditor):
        with pytest.raises(Forbidden):
            engine_acts.before(session, actor(person), "unload")
    engine_acts.before(session, actor(people.admin), "unload")
    engine_acts.before(session, system_actor("cli", "T"), "unload")
    assert [row.action for row in rows(session)] == ["engine.unload", "engine.unload"]


def test_an_outcome_is_written_once(session: Session, people: World) -> None:
    house = system_actor("housekeeping", "engines")
    begun = Change("switch", "loading", NEXT, 1_000.0, id="c1")
    engine_acts.after(session, actor(people.admin), begun)
    assert not engine_acts.settle(session, house, begun), "nothing has ended yet"
    assert engine_acts.settle(session, house, ENDED)
    assert not engine_acts.settle(session, house, ENDED)
    session.commit()
    first, second = rows(session)
    assert (first.detail["step"], second.detail["step"]) == ("begun", "done")
    assert first.object_id == second.object_id == "c1"
    assert second.detail == {
        "step": "done", "engine": 1, "to_model": NEXT, "seconds": 12.0, "before_mib": 4096, "after_mib": 6144,
    }  # fmt: skip


def test_a_failure_keeps_its_reason(session: Session, people: World) -> None:
    failed = Change("switch", "failed", NEXT, 1_000.0, "MODEL_CANARY", "garbage", id="c2", ended=1_001.0)
    engine_acts.after(session, actor(people.admin), failed)
    engine_acts.refused(session, actor(people.admin), "unload", EngineFailed("ENGINE_IN_USE"))
    assert [(row.result, row.reason) for row in rows(session)] == [
        ("failed", "MODEL_CANARY"),
        ("failed", "ENGINE_IN_USE"),
    ]


def test_what_the_engine_did_by_itself_is_written_by_housekeeping(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(settings)
    load_audit_key(settings.instance)
    monkeypatch.setattr(engine_acts, "SETTLE_S", 0.0)
    database = create_engine(settings)
    try:
        with fake_engine(settings, "--idle-unload-s", "0.3", "--gpu") as client:
            deadline = time.monotonic() + 20
            while client.status().state != "asleep":
                assert time.monotonic() < deadline
                time.sleep(0.05)
            house = House(settings, session_factory(database))
            house.settle_engine_changes()
            house.settle_engine_changes()
            House(settings, session_factory(database)).settle_engine_changes()
        with session_factory(database)() as session:
            (row,) = rows(session)
        assert (row.action, row.actor_name, row.detail["by_itself"]) == ("engine.unload", "housekeeping", "idle_unload")
        assert row.detail["before_mib"] == 4096
    finally:
        database.dispose()


def test_the_views_of_an_engine(settings: Settings, shelf: dict[str, str]) -> None:
    assert engine.look(settings).error_code == "ENGINE_UNAVAILABLE"
    assert engine.history(settings) == []
    with fake_engine(settings, "--gpu", models=shelf):
        view = engine.look(settings)
        assert view.has_gpu
        assert view.shares == (83, 83, 125, 709)
        assert not view.changing
        assert {release.folder.name for release in engine.installed(settings)} == {"seaco", "paraformer-2"}
        deadline = time.monotonic() + 20
        while not (found := engine.history(settings)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found[0][1:7] == [2048.0, 2048.0, 3072.0, 17408.0, 37, 54]
        assert engine.look(settings, 99).status is not None, "an unknown number is the first"


class TestCommandLine:
    """``portal engine``."""

    @pytest.fixture(autouse=True)
    def _instance(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("portal.cli.engine.load_settings", lambda: load_settings(instance=settings.instance))

    def run(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(engine_group, list(arguments))
        return done.exit_code, done.output

    def logged(self, settings: Settings) -> list[tuple[str, str, str]]:
        database = create_engine(settings)
        with session_factory(database)() as session:
            found = [(row.action, row.detail["step"], row.result) for row in rows(session)]
        database.dispose()
        return found

    def test_without_an_engine(self, settings: Settings) -> None:
        code, text = self.run("status")
        assert (code, "ENGINE_UNAVAILABLE" in text) == (1, True)
        code, text = self.run("unload")
        assert (code, "ENGINE_UNAVAILABLE" in text) == (1, True)
        assert self.logged(settings) == [("engine.unload", "asked", "ok"), ("engine.unload", "failed", "failed")]

    def test_every_verb(self, settings: Settings, shelf: dict[str, str]) -> None:
        with fake_engine(settings, "--gpu", models=shelf) as client:
            code, text = self.run("status")
            assert (code, "reserved 4096, others 3072, free 17408 of 24576 MiB" in text) == (0, True)
            assert '"state": "ready"' in self.run("status", "--json")[1]
            assert self.run("switch", "paraformer-2")[0] == 0
            assert client.status().model.digest == shelf["paraformer-2"]
            assert self.run("switch", shelf["seaco"][:8])[0] == 0
            assert client.status().model.digest == shelf["seaco"]
            assert self.run("reload")[0] == 0
            with client.open(options=RecordingOptions()):
                code, text = self.run("unload")
                assert (code, "ENGINE_IN_USE" in text) == (1, True)
            code, text = self.run("unload", "--wait")
            assert (code, "Memory: 4096 -> 512 MiB" in text) == (0, True)
            assert self.run("status")[0] == 1, "unloaded is not ready"
            assert self.run("reload")[0] == 0
            assert self.run("clear-cache")[1] == "Cleared: 4096 -> 2048 MiB\n"
        steps = self.logged(settings)
        assert [step for step in steps if step[1] == "asked"] == [
            (action, "asked", "ok")
            for action in (
                *("engine.switch", "engine.switch", "engine.load", "engine.unload", "engine.unload"),
                *("engine.load", "engine.clear_cache"),
            )
        ]
        assert len(steps) == 14, "each act has its outcome"

    def test_an_unknown_name_lists_the_known_ones(self, shelf: dict[str, str]) -> None:
        code, text = self.run("switch", "nobody")
        assert code == 1
        assert "paraformer-2" in text
