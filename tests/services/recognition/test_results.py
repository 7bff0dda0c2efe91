"""What a finished run leaves behind: sentences with all that the model said of them, or spans and no text."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.types import Sentence, SpeechSpan, Transcription, Word
from portal.models import AuditEvent, Transcript, TranscriptSentence
from portal.models import Transcription as Row
from portal.services.identity.actor import system_actor
from portal.services.recognition import lease
from portal.services.transcripts.exports import sentence_of
from tests.services.recognition.conftest import Queue
from tests.services.recognition.results_of import MODEL
from tests.support.world import World

WORKER = system_actor("worker", "job")


def held(session: Session) -> lease.Claim:
    found = lease.claim(session, "worker-1", 30)
    assert found is not None
    return found


def test_a_sentence_comes_back_as_it_went_in(session: Session, people: World, queue: Queue) -> None:
    queue(people.lin)
    words = (Word("好", 0, 4_000, 0.9), Word("的", 0, 4_000, None))
    tagged = Sentence(
        "好的。", 0, 4_000, words, 0, "2", 1, 0.9, language="yue", emotion="happy", events=("bgm",), timed=False
    )
    plain = Sentence("行。", 4_000, 5_000, (Word("行", 4_100, 4_900, 0.8),), 1)
    result = Transcription((tagged, plain), 60_000, 5_000, MODEL, "text", ("HOTWORDS_NOT_USED",))
    assert lease.complete(session, WORKER, held(session), result)
    rows = list(session.scalars(sa.select(TranscriptSentence).order_by(TranscriptSentence.position)))
    assert [sentence_of(row) for row in rows] == [tagged, plain]
    assert rows[0].words == [["好", None, None, 0.9], ["的", None, None, None]]
    assert session.scalars(sa.select(Row.warnings)).one() == ["HOTWORDS_NOT_USED"]


def test_spans_are_a_finished_result_without_a_text(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    spans = (SpeechSpan(0, 900), SpeechSpan(2_000, 4_500))
    assert lease.complete(session, WORKER, held(session), Transcription((), 60_000, 3_400, MODEL, "spans", (), spans))
    row = session.get_one(Row, item)
    assert (row.state, row.error_code, row.spans) == ("done", None, [[0, 900, None], [2_000, 4_500, None]])
    assert session.scalars(sa.select(Transcript)).all() == []
    finish = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "transcription.finish")).one()
    assert finish.detail["spans"] == 2


def test_no_speech_stays_its_own_state_when_spans_were_wanted(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    assert lease.complete(session, WORKER, held(session), Transcription((), 60_000, 0, MODEL, "no_speech", (), ()))
    row = session.get_one(Row, item)
    assert (row.state, row.spans) == ("no_speech", None)
