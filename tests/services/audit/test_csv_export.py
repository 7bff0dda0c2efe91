"""The CSV: everything that matches, no live formula, a trailer that proves it, flat memory, in the log first."""

from __future__ import annotations

import csv
import hashlib
import io
import tracemalloc
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session, sessionmaker

from portal.db import utcnow
from portal.errors import PortalError
from portal.models import AuditEvent
from portal.services import audit
from portal.services.audit import Action, AuditFilter
from portal.services.audit.csv_export import COLUMNS, Export, cell
from portal.services.identity.actor import anonymous_actor
from tests.support.world import World, actor

DANGEROUS = "=+-@\t\r\n\0＝＋－＠"


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def sessions_of(session: Session) -> sessionmaker[Session]:
    return sessionmaker(session.get_bind())


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\0=1", "＝1", "＋1", "－1", "＠x", " =1"]
)
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text).startswith("'")


@given(st.text())
def test_no_text_at_all_becomes_a_formula(text: str) -> None:
    shown = cell(text)
    assert shown.strip(" 　")[:1] not in tuple(DANGEROUS)
    assert not {"\r", "\n", "\0"} & set(shown)


def test_a_hostile_name_stays_in_its_cell(session: Session, people: World) -> None:
    name = '=HYPERLINK("http://x","点")'
    audit.record(session, anonymous_actor(name, address="::1", request_id="T"), Action.SIGN_IN, result="refused")
    export = audit.begin_export(session, actor(people.auditor), AuditFilter(), "三季度内审抽查")
    session.commit()
    rows = rows_of(b"".join(audit.stream_csv(sessions_of(session), export)))
    assert rows[1][COLUMNS.index("actor_name")] == "'" + name


def test_everything_that_matches_and_a_trailer_that_proves_it(session: Session, people: World) -> None:
    for number in range(30):
        person = people.lin if number % 2 else people.wang
        audit.record(session, actor(person), Action.TRANSCRIPT_OPEN, object_id=number)
    wanted = AuditFilter(person="lin")
    export = audit.begin_export(session, actor(people.auditor), wanted, "三季度  内审抽查")
    session.commit()
    audit.record(session, actor(people.lin), Action.TRANSCRIPT_OPEN)  # later than the export
    session.commit()
    data = b"".join(audit.stream_csv(sessions_of(session), export))
    assert data.startswith(b"\xef\xbb\xbfseq,at,")
    rows = rows_of(data)
    assert [row[0] for row in rows[1:-1]] == [str(number) for number in range(2, 31, 2)]
    body, trailer = data[: data.index(b"# rows=")], rows[-1][0]
    assert trailer == f"# rows=15 sha256={hashlib.sha256(body).hexdigest()}"
    event = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "audit.export")).one()
    assert event.detail == {"filters": ["person"], "why": "三季度 内审抽查"}


def test_an_export_needs_a_reason(session: Session, people: World) -> None:
    for why in ("", "   查   ", "查" * 201):
        with pytest.raises(PortalError) as refused:
            audit.begin_export(session, actor(people.auditor), AuditFilter(), why)
        assert refused.value.code == "INVALID_VALUE"


def many(session: Session, count: int) -> None:
    """Rows by the thousand; their chain is wrong, which neither pages nor exports look at."""
    start = utcnow() - timedelta(days=30)
    session.execute(
        sa.insert(AuditEvent),
        [
            {
                "seq": number, "at": start + timedelta(seconds=number), "actor_id": None,
                "actor_name": f"p{number % 97}",
                "actor_role": "staff", "address": f"10.0.{number % 250}.7", "action": "transcript.open",
                "object_kind": "transcript", "object_id": f"t{number % 1000}", "result": "ok", "reason": None,
                "request_id": "T", "session_hash": None, "detail": {"n": number}, "mac": "0" * 64,
            }
            for number in range(1, count + 1)
        ],
    )  # fmt: skip
    session.commit()


def test_memory_stays_flat_however_long_the_log(session: Session, people: World) -> None:
    many(session, 20_000)
    export = Export(AuditFilter(), 20_000)
    tracemalloc.start()
    total, peak_early, peak_late = 0, 0, 0
    for number, piece in enumerate(audit.stream_csv(sessions_of(session), export)):
        total += len(piece)
        if number == 4:
            peak_early = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
        peak_late = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 3_000_000
    assert peak_late < peak_early + 2_000_000
