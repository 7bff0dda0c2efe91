"""Every change of state is one conditional UPDATE: who comes second changes nothing."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from portal.db import create_engine, session_factory, utcnow
from portal.errors import NotFound, PortalError
from portal.models import (
    TERMINAL,
    AuditEvent,
    OutboxMessage,
    Recording,
    State,
    Transcript,
    Transcription,
    TranscriptSentence,
)
from portal.services.identity.actor import system_actor
from portal.services.recognition import jobs_overview, lease, progress, rings, transcriptions
from portal.services.recordings import recordings
from portal.settings import Settings
from tests.services.recognition.conftest import Queue
from tests.services.recognition.results_of import result
from tests.support.world import World, actor

WORKER = system_actor("worker", "job")


def claim(session: Session, seconds: int = 30) -> lease.Claim:
    held = lease.claim(session, "w", seconds)
    session.commit()
    assert held is not None
    return held


def state(session: Session, item: uuid.UUID) -> str:
    session.expire_all()
    return session.get_one(Transcription, item).state


def expire(session: Session, item: uuid.UUID) -> None:
    past = utcnow() - timedelta(seconds=1)
    session.execute(sa.update(Transcription).where(Transcription.id == item).values(lease_until=past))
    session.commit()


def actions(session: Session, item: uuid.UUID) -> list[str]:
    query = sa.select(AuditEvent.action).where(AuditEvent.object_id == str(item)).order_by(AuditEvent.seq)
    return list(session.scalars(query))


def test_complete_writes_everything_once(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    held = claim(session)
    assert held.hotwords == ("达摩院",)
    assert lease.complete(session, WORKER, held, result("你好。", audio_ms=61_000))
    session.commit()
    assert not lease.complete(session, WORKER, held, result("别的。")), "a commit whose answer was lost is repeated"
    session.commit()
    assert state(session, item) == "done"
    assert list(session.scalars(sa.select(TranscriptSentence.text))) == ["你好。"]
    assert session.scalars(sa.select(Transcript.excerpt)).one() == "你好。"
    assert session.scalars(sa.select(Recording.duration_ms)).one() == 61_000
    assert [row.topic for row in session.scalars(sa.select(OutboxMessage))] == [lease.FINISHED]
    assert actions(session, item) == ["transcription.start", "transcription.finish"]


def test_the_excerpt_keeps_western_sentences_apart(session: Session, people: World, queue: Queue) -> None:
    queue(people.lin)
    once = result("OK.")
    lease.complete(session, WORKER, claim(session), replace(once, sentences=once.sentences * 2))
    assert session.scalars(sa.select(Transcript.excerpt)).one() == "OK. OK."


@pytest.mark.parametrize("outcome", ["no_speech", "not_recognised"])
def test_an_empty_text_says_why(session: Session, people: World, queue: Queue, outcome: str) -> None:
    item = queue(people.lin)
    lease.complete(session, WORKER, claim(session), result(outcome=outcome))  # type: ignore[arg-type]
    session.commit()
    row = session.get_one(Transcription, item)
    assert (row.state, row.error_code) == (outcome, outcome.upper())
    assert session.scalars(sa.select(Transcript)).all() == []


def test_an_outdated_worker_is_fenced(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    old = claim(session)
    expire(session, item)
    assert lease.has_expired(session)
    assert lease.take_back_expired(session, WORKER) == [item]
    session.commit()
    assert not lease.renew(session, old, done_ms=1, latest_text=None).mine
    new = claim(session)
    assert (new.transcription_id, new.attempt) == (item, 2)
    assert not lease.complete(session, WORKER, old, result("旧。"))
    assert not lease.fail(session, WORKER, old, "MEDIA_DAMAGED")
    assert not lease.try_again(session, WORKER, old, "ASR_FAILED")
    assert not lease.release(session, WORKER, old, "ASR_FAILED")
    assert lease.complete(session, WORKER, new, result("新。"))
    session.commit()
    assert list(session.scalars(sa.select(TranscriptSentence.text))) == ["新。"]
    assert actions(session, item) == [
        "transcription.start", "transcription.requeue", "transcription.discard", "transcription.finish",
    ]  # fmt: skip


def test_five_attempts_and_no_more(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    for _ in range(lease.MAX_ATTEMPTS - 1):
        assert lease.try_again(session, WORKER, claim(session), "ENGINE_FAILED")
    expired = claim(session)
    expire(session, item)
    assert lease.take_back_expired(session, WORKER) == []
    session.commit()
    row = session.get_one(Transcription, item)
    assert (row.state, row.error_code, row.error_params) == ("failed", "ATTEMPTS_EXHAUSTED", {"attempts": 5})
    assert expired.attempt == 5


def test_a_release_costs_no_attempt(session: Session, people: World, queue: Queue) -> None:
    queue(people.lin)
    for _ in range(8):
        held = claim(session)
        assert held.attempt == 1
        lease.release(session, WORKER, held, "ENGINE_UNAVAILABLE")


def test_retry_keeps_options_and_hotwords(
    session: Session, people: World, queue: Queue, any_settings: Settings
) -> None:
    item, lin = queue(people.lin), actor(people.lin)
    with pytest.raises(PortalError, match="WRONG_STATE"):
        transcriptions.retry(session, lin, item, settings=any_settings)
    lease.fail(session, WORKER, claim(session), "MEDIA_DAMAGED")
    session.commit()
    (failed,) = progress.items_for(session, lin)
    assert (failed.state, failed.error_code) == ("failed", "MEDIA_DAMAGED")
    transcriptions.retry(session, lin, item, settings=any_settings)
    session.commit()
    held = claim(session)
    assert (held.attempt, held.hotwords, held.options) == (1, ("达摩院",), {"itn": True, "channels": "mix"})
    assert session.get_one(Transcription, item).error_code is None


def test_strangers_get_not_found(session: Session, people: World, queue: Queue, any_settings: Settings) -> None:
    item, wang = queue(people.lin), actor(people.wang)
    recording_id = session.get_one(Transcription, item).recording_id
    acts: list[Callable[[], object]] = [
        lambda: transcriptions.cancel(session, wang, item),
        lambda: transcriptions.retry(session, wang, item, settings=any_settings),
        lambda: recordings.get_for(session, wang, recording_id),
        lambda: recordings.rename(session, wang, recording_id, "x"),
        lambda: recordings.delete(session, wang, recording_id),
    ]
    for act in acts:
        with pytest.raises(NotFound):
            act()
    assert progress.items_for(session, wang) == []
    assert progress.item_for(session, wang, item) is None


def test_cancel_of_a_silent_worker_is_carried_out_by_housekeeping(
    session: Session, people: World, queue: Queue
) -> None:
    item = queue(people.lin)
    claim(session)
    transcriptions.cancel(session, actor(people.lin), item)
    transcriptions.cancel(session, actor(people.lin), item)
    assert progress.items_for(session, actor(people.lin))[0].cancelling
    expire(session, item)
    lease.take_back_expired(session, WORKER)
    session.commit()
    assert state(session, item) == "cancelled"
    assert actions(session, item) == ["transcription.start", "transcription.cancel", "transcription.finish"]


def test_a_result_that_comes_after_cancel_is_not_kept(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    held = claim(session)
    transcriptions.cancel(session, actor(people.lin), item)
    assert lease.renew(session, held, done_ms=1, latest_text="你").cancel
    assert not lease.complete(session, WORKER, held, result())
    session.commit()
    assert state(session, item) == "cancelled"
    assert session.scalars(sa.select(Transcript)).all() == []


def test_deleting_removes_the_text_and_promises_the_file(session: Session, people: World, queue: Queue) -> None:
    item, lin = queue(people.lin), actor(people.lin)
    recording_id = session.get_one(Transcription, item).recording_id
    lease.complete(session, WORKER, claim(session), result())
    recordings.rename(session, lin, recording_id, " 周会\u202e ")
    session.commit()
    assert recordings.get_for(session, lin, recording_id).title == "周会"
    recordings.delete(session, lin, recording_id)
    session.commit()
    assert session.scalars(sa.select(TranscriptSentence)).all() == []
    assert [row.topic for row in session.scalars(sa.select(OutboxMessage))] == [lease.FINISHED, recordings.ERASE]
    with pytest.raises(NotFound):
        recordings.get_for(session, lin, recording_id)


def side_by_side(make: sessionmaker[Session], step: Callable[[Session], object]) -> Callable[[], list[object]]:
    """Run ``step`` in a transaction of another thread; the returned call waits and gives its result, or its error."""
    ended: list[object] = []

    def run() -> None:
        try:
            with make.begin() as own:
                ended.append(step(own))
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)

    def wait() -> list[object]:
        thread.join()
        return ended

    return wait


def test_deleting_in_the_middle_of_a_retry_leaves_nothing_to_do(
    session: Session, people: World, queue: Queue, any_settings: Settings
) -> None:
    item, lin = queue(people.lin), actor(people.lin)
    recording_id = session.get_one(Transcription, item).recording_id
    lease.fail(session, WORKER, claim(session), "ASR_FAILED")
    session.commit()
    engine = create_engine(any_settings)
    transcriptions.retry(session, lin, item, settings=any_settings)
    deleting = side_by_side(session_factory(engine), lambda own: recordings.delete(own, lin, recording_id))
    session.commit()
    assert deleting() == [None]
    assert state(session, item) == "cancelled"
    with pytest.raises(NotFound):
        transcriptions.retry(session, lin, item, settings=any_settings)
    engine.dispose()


def test_finishing_and_deleting_do_not_wait_for_each_other(
    session: Session, people: World, queue: Queue, any_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, lin = queue(people.lin), actor(people.lin)
    recording_id, held = session.get_one(Transcription, item).recording_id, claim(session)
    engine = create_engine(any_settings)
    finishing: list[Callable[[], list[object]]] = []
    cancel_all_of = transcriptions.cancel_all_of

    def interrupted(own: Session, deleted: uuid.UUID) -> None:
        finishing.append(
            side_by_side(session_factory(engine), lambda other: lease.complete(other, WORKER, held, result()))
        )
        cancel_all_of(own, deleted)

    monkeypatch.setattr(transcriptions, "cancel_all_of", interrupted)
    recordings.delete(session, lin, recording_id)
    session.commit()
    assert finishing[0]() == [False]
    assert state(session, item) == "cancelled"
    assert session.scalars(sa.select(Transcript)).all() == []
    engine.dispose()


def test_administrators_see_jobs_but_no_titles(session: Session, people: World, queue: Queue) -> None:
    first, second = queue(people.lin), queue(people.zhao)
    claim(session)
    jobs = jobs_overview.admin_jobs(session, actor(people.admin))
    assert [(job.transcription_id, job.owner_name, job.state, job.position) for job in jobs] == [
        (first, "林晓雯", "running", None),
        (second, "赵敏", "queued", 1),
    ]
    assert "会议" not in repr(jobs)
    facts = jobs_overview.queue_facts(session)
    assert (facts.queued, facts.running, facts.queued_audio_ms) == (1, 1, 60_000)
    transcriptions.cancel_any(session, actor(people.admin), second)
    assert state(session, second) == "cancelled"


def test_two_reconcilers_ring_once(session: Session, people: World, queue: Queue) -> None:
    item, known = queue(people.lin), queue(people.wang)
    session.execute(sa.update(Transcription).values(rung_at=utcnow() - timedelta(seconds=60)))
    session.commit()
    assert rings.anybody_waits(session)
    assert rings.take_due(session, {known}, 5.0) == [item]
    session.commit()
    assert rings.take_due(session, {known}, 5.0) == []


def test_races_have_one_winner(session: Session, people: World, queue: Queue, any_settings: Settings) -> None:
    """Cancel, finish, fail, take back, retry from threads: what ended stays ended, and there is at most one text."""
    items = [queue(people.lin) for _ in range(16)]
    engine = create_engine(any_settings)
    sessions, lin = session_factory(engine), actor(people.lin)
    problems: list[BaseException] = []

    def run(seed: int, step: Callable[[random.Random, sessionmaker[Session]], None]) -> None:
        dice = random.Random(seed)
        for _ in range(12):
            try:
                step(dice, sessions)
            except PortalError:
                continue
            except BaseException as error:
                problems.append(error)
                return

    def work(dice: random.Random, make: sessionmaker[Session]) -> None:
        with make.begin() as own:
            held = lease.claim(own, "w", 30)
        if held is None:
            return
        ends = [lambda s: lease.complete(s, WORKER, held, result()), lambda s: lease.fail(s, WORKER, held, "NO_SPEECH"),
                lambda s: lease.try_again(s, WORKER, held, "ASR_FAILED")]  # fmt: skip
        for _ in range(2):  # the second one must find its token gone
            with make.begin() as own:
                dice.choice(ends)(own)

    def cancel(dice: random.Random, make: sessionmaker[Session]) -> None:
        with make.begin() as own:
            transcriptions.cancel(own, lin, dice.choice(items))

    def retry(dice: random.Random, make: sessionmaker[Session]) -> None:
        with make.begin() as own:
            transcriptions.retry(own, lin, dice.choice(items), settings=any_settings)

    steps = [work, work, work, cancel, cancel, retry]
    threads = [threading.Thread(target=run, args=(number, step)) for number, step in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    while (held := lease.claim(session, "w", 30)) is not None:
        lease.complete(session, WORKER, held, result())
        session.commit()
    session.expire_all()
    for row in session.scalars(sa.select(Transcription)):
        if row.state == State.RUNNING.value:
            expire(session, row.id)
    while lease.take_back_expired(session, WORKER):
        session.commit()
    rows = session.scalars(sa.select(Transcription)).all()
    texts = list(session.scalars(sa.select(Transcript.transcription_id)))
    assert len(texts) == len(set(texts))
    assert {row.id for row in rows if row.state == State.DONE.value} == set(texts)
    assert all(row.state in TERMINAL | {State.QUEUED} for row in rows)
    engine.dispose()


def test_sixteen_writers_are_never_told_that_the_database_is_locked(
    session: Session, people: World, queue: Queue, any_settings: Settings
) -> None:
    items = [queue(people.lin) for _ in range(16)]
    engine = create_engine(any_settings)
    sessions = session_factory(engine)
    problems: list[BaseException] = []

    def write(item: uuid.UUID) -> None:
        try:
            for _ in range(5):
                with sessions.begin() as own:
                    transcriptions.get_for(own, actor(people.lin), item)
                    transcriptions.set_priority(own, actor(people.admin), item, urgent=True)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    engine.dispose()
