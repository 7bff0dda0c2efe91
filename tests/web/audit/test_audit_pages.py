"""The auditors' pages over HTTP: what they show, what they never show, what they leave in the log."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from portal.db import db
from portal.models import AuditEvent, User
from portal.services import audit
from portal.services.audit import Action
from tests.support.world import World, actor

ClientOf = Callable[[User], FlaskClient]


@pytest.fixture
def log(app: Flask, world: World) -> World:
    """Some events of everybody."""
    with app.app_context():
        session = db.session()
        for number in range(60):
            audit.record(
                session, actor(world.lin), Action.TRANSCRIPT_OPEN, object_kind="transcript", object_id=f"t{number}"
            )
        audit.record(session, actor(world.zhao), Action.SIGN_IN, result="refused", reason="SIGN_IN_FAILED")
        session.commit()
    return world


def events(app: Flask, action: str) -> list[AuditEvent]:
    with app.app_context():
        return list(db.session.scalars(sa.select(AuditEvent).where(AuditEvent.action == action)))


def test_the_log_with_filters_and_pages(app: Flask, log: World, client_of: ClientOf) -> None:
    client = client_of(log.auditor)
    page = client.get("/audit").get_data(as_text=True)
    assert "61 条符合" in page
    assert "更早的" in page
    page = client.get("/audit?person=赵敏&result=refused").get_data(as_text=True)
    assert "1 条符合" in page
    assert "SIGN_IN_FAILED" in page
    assert "没有符合条件的记录" in client.get("/audit?person=nobody").get_data(as_text=True)
    looks = events(app, "audit.read")
    assert [look.detail["filters"] for look in looks] == [[], ["person", "result"], ["person"]]
    assert not any("赵敏" in str(look.detail) for look in looks)


@pytest.mark.parametrize(
    "query", ["from=x&to=y", "before=abc", "before=" + "9" * 40, "from=9999-12-31&to=9999-12-31", "action=%27"]
)
def test_odd_addresses_are_no_error(log: World, client_of: ClientOf, query: str) -> None:
    assert client_of(log.auditor).get(f"/audit?{query}").status_code == 200


def test_one_event_in_full(app: Flask, log: World, client_of: ClientOf) -> None:
    page = client_of(log.auditor).get("/audit/61").get_data(as_text=True)
    assert "SIGN_IN_FAILED" in page
    assert "192.0.2.1" in page
    assert "TEST-0001" in page
    assert client_of(log.auditor).get("/audit/99999").status_code == 404


def test_the_csv_is_in_the_log_before_it_leaves(app: Flask, log: World, client_of: ClientOf) -> None:
    answer = client_of(log.auditor).post("/audit/export", data={"why": "三季度内审抽查", "action": "transcript.open"})
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert answer.headers["Cache-Control"] == "no-store"
    data = answer.data
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert len(rows) == 62
    digest = hashlib.sha256(data[: data.index(b"# rows=")]).hexdigest()
    assert rows[-1] == [f"# rows=60 sha256={digest}"]
    assert events(app, "audit.export")[0].detail == {"filters": ["action"], "why": "三季度内审抽查"}


def test_no_reason_no_csv(app: Flask, log: World, client_of: ClientOf) -> None:
    answer = client_of(log.auditor).post("/audit/export", data={"why": "看看"})
    assert answer.status_code == 422
    assert events(app, "audit.export") == []


def test_verification_says_what_it_found(app: Flask, log: World, client_of: ClientOf) -> None:
    client = client_of(log.auditor)
    assert "链条完整" in client.post("/audit/verify", follow_redirects=True).get_data(as_text=True)
    with app.app_context():
        db.session.execute(sa.text("DROP TRIGGER audit_events_no_update"))
        db.session.execute(sa.text("UPDATE audit_events SET object_id = 'x' WHERE seq = 17"))
        db.session.commit()
    page = client.post("/audit/verify", follow_redirects=True).get_data(as_text=True)
    assert "第 17 条有问题：内容被改动过" in page
    assert "触发器不全" in page
    found = events(app, "audit.verify")
    assert [(event.result, event.detail["bad_seq"]) for event in found] == [("ok", None), ("failed", 17)]


@pytest.mark.parametrize("name", ["lin", "admin"])
def test_nobody_but_auditors(log: World, client_of: ClientOf, name: str) -> None:
    client = client_of(log.person(name))
    assert client.get("/audit").status_code == 403
    assert client.get("/audit/1").status_code == 403
    assert client.post("/audit/verify").status_code == 403
    assert client.post("/audit/export", data={"why": "三季度内审抽查"}).status_code == 403


def test_an_act_that_cannot_be_logged_does_not_happen(app: Flask, log: World, client_of: ClientOf) -> None:
    client = client_of(log.admin)
    with app.app_context():
        broken = "CREATE TRIGGER broken BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'read only'); END"
        db.session.execute(sa.text(broken))
        db.session.commit()
    answer = client.post(f"/admin/people/{log.zhao.id}/disable")
    assert answer.status_code == 503
    assert "审计记录写不进去" in answer.get_data(as_text=True)
    with app.app_context():
        user = db.session.get(User, log.zhao.id)
        assert user is not None
        assert user.disabled_at is None
    assert client_of(log.auditor).get("/audit").status_code == 503  # even a look


@pytest.mark.parametrize(("text", "status"), [("database is locked", 503), ("database or disk is full", 507)])
def test_a_failing_commit_asks_to_try_again(
    app: Flask, world: World, client_of: ClientOf, text: str, status: int
) -> None:
    client = client_of(world.admin)

    def fail(_session: Session) -> None:
        sa.event.remove(Session, "before_commit", fail)
        raise OperationalError("COMMIT", {}, Exception(text))

    sa.event.listen(Session, "before_commit", fail)
    answer = client.post("/admin/departments", data={"name": "法务部"})
    assert answer.status_code == status
    assert "法务部" not in client.get("/admin/departments").get_data(as_text=True)


def test_a_number_beyond_every_database_is_not_found(log: World, client_of: ClientOf) -> None:
    for number in ("0", str(2**63), "9" * 40):
        assert client_of(log.auditor).get(f"/audit/{number}").status_code == 404
