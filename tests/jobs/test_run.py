"""A transcription from the ring to its text, with real processes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from portal.asr.engine.fake import expected_text
from portal.models import Transcription, TranscriptSentence
from portal.services.hotwords import replacement_editing as editing
from portal.services.hotwords import replacements
from portal.services.hotwords.replacement_editing import Draft, Limits
from tests.support.sounds import pcm, wav
from tests.support.workplace import Workplace
from tests.support.world import actor

pytestmark = [pytest.mark.redis, pytest.mark.processes]


def test_a_ring_leads_to_the_text_of_that_very_sound(any_place: Workplace) -> None:
    place = any_place
    place.start_engine()
    place.start_worker()
    first = place.submit(place.world.lin, 1.0, seed=1)
    second = place.submit(place.world.zhao, 2.0, seed=2)
    place.until_state(first, "done")
    place.until_state(second, "done")
    for item, seconds, seed in ((first, 1.0, 1), (second, 2.0, 2)):
        row, texts = place.row(item), place.texts(item)
        assert len(texts) == 1
        assert set(expected_text(pcm(seconds, seed))) >= set(texts[0].excerpt) - set("，。？、")
        assert (row.audio_ms, row.done_ms, row.attempt) == (seconds * 1000, seconds * 1000, 1)
        assert row.model is not None
        assert row.lease_token is None
        assert place.audited(item) == ["transcription.start", "transcription.finish"]
        assert place.store.read_peaks(row.recording_id)


def test_without_a_ring_the_next_claim_finds_the_row(place: Workplace) -> None:
    place.start_engine()
    place.submit(place.world.lin, seed=1)
    place.redis.flush()
    place.start_worker()
    rung = place.submit(place.world.wang, seed=2)
    place.until_state(rung, "done")
    with place.sessions() as session:
        assert {row.state for row in session.scalars(sa.select(Transcription))} == {"done"}


def test_silence_and_damage_end_with_their_own_codes(place: Workplace) -> None:
    place.start_engine()
    place.start_worker()
    silent = place.submit(place.world.lin, content=wav(samples=bytes(64_000)))
    text = place.submit(place.world.lin, content="这是一份文字".encode() * 100)
    empty = place.submit(place.world.lin, content=b"")
    place.until_state(silent, "no_speech")
    place.until_state(text, "failed")
    place.until_state(empty, "failed")
    assert place.row(silent).error_code == "NO_SPEECH"
    assert place.row(text).error_code == "MEDIA_NOT_AUDIO"
    assert place.row(empty).error_code == "MEDIA_EMPTY"
    assert place.texts(silent) == []


def test_spans_instead_of_a_text(any_place: Workplace) -> None:
    place = any_place
    place.start_engine()
    place.start_worker()
    vad = {"preset": "lecture", "max_segment_ms": 60_000, "end_silence_ms": None, "threshold": None}
    item = place.submit(place.world.lin, 12.0, seed=3, result="spans", vad=vad, language="yue", speakers=True)
    place.until_state(item, "done")
    with place.sessions() as session:
        row = session.get_one(Transcription, item)
        assert row.spans == [[0, 10_000, None], [10_000, 12_000, None]]
        assert (row.speech_ms, row.warnings) == (12_000, [])
    assert place.texts(item) == []


def test_wishes_the_model_cannot_fulfil_are_warnings(place: Workplace) -> None:
    place.start_engine()
    place.start_worker()
    item = place.submit(place.world.lin, 2.0, seed=4, language="yue", speakers=True)
    place.until_state(item, "done")
    assert place.row(item).warnings == ["LANGUAGE_NOT_OFFERED", "SPEAKERS_NOT_OFFERED"]
    assert len(place.texts(item)) == 1


def test_a_missing_file_is_said(place: Workplace) -> None:
    item = place.submit(place.world.lin)
    place.store.erase(place.row(item).recording_id)
    place.start_engine()
    place.start_worker()
    place.until_state(item, "failed")
    assert place.row(item).error_code == "FILE_MISSING"


def test_progress_is_what_the_engine_has_finished(place: Workplace) -> None:
    place.start_engine(0.02)
    place.start_worker()
    item = place.submit(place.world.lin, 250.0, seed=5)
    seen: list[int] = []

    def ended() -> bool:
        row = place.row(item)
        seen.append(row.done_ms)
        return row.state == "done"

    place.until(ended, 60)
    steps = sorted(set(seen))
    assert seen == sorted(seen)
    assert len([step for step in steps if 0 < step < 250_000]) >= 1, steps


def test_the_table_of_the_upload_speaks_whatever_became_of_it(any_place: Workplace) -> None:
    place = any_place
    said = expected_text(pcm(1.0, 9))
    with place.sessions.begin() as session:
        admin, table = actor(place.world.admin), place.world.research.id
        editing.add(session, admin, table, Draft(said[:2], "星澜网关"), Limits())
        kept = replacements.replacement_snapshot(session, actor(place.world.lin))
        pair = replacements.pairs_of(session, admin, table).pairs[0]
        editing.remove(session, admin, pair.id)
        pair_id = str(pair.id)
    place.start_engine()
    place.start_worker()
    item = place.submit(place.world.lin, 1.0, seed=9, replacements=kept)
    place.until_state(item, "done")
    (text,) = place.texts(item)
    assert text.excerpt.startswith("星澜网关")
    assert text.substitution_count == 1
    with place.sessions() as session:
        rows = session.scalars(sa.select(TranscriptSentence).where(TranscriptSentence.transcript_id == text.id)).all()
        (made,) = [made for row in rows for made in row.substitutions]
    assert (made["heard"], made["written"], made["replacement"], made["word"]) == (said[:2], "星澜网关", pair_id, 0)
