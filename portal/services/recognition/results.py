"""Writing a transcript: the rows that a page, a search and an export read."""

from __future__ import annotations

import uuid
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.sentences import join
from portal.asr.types import Sentence, Word
from portal.asr.types import Transcription as Result
from portal.models import Transcript, TranscriptSentence

EXCERPT_LENGTH = 200


def write_transcript(
    session: Session, transcription_id: uuid.UUID, recording_id: uuid.UUID, result: Result
) -> Transcript:
    """Store the sentences of ``result`` in order; part of the transaction that ends the transcription."""
    transcript = Transcript(
        transcription_id=transcription_id,
        recording_id=recording_id,
        sentence_count=len(result.sentences),
        character_count=sum(len(sentence.text) for sentence in result.sentences),
        substitution_count=sum(len(sentence.substitutions) for sentence in result.sentences),
        excerpt=_excerpt(result),
    )
    session.add(transcript)
    session.flush()
    if result.sentences:
        rows = [_row(transcript.id, number, sentence) for number, sentence in enumerate(result.sentences)]
        session.execute(sa.insert(TranscriptSentence), rows)
    return transcript


def span_rows(result: Result) -> list[list[int | None]] | None:
    """The spans of ``result`` as they are stored; None where a text was wanted."""
    if result.spans is None:
        return None
    return [[span.begin_ms, span.end_ms, span.channel] for span in result.spans]


def _excerpt(result: Result) -> str:
    text = ""
    for sentence in result.sentences:
        text = join(text, sentence.text)
        if len(text) >= EXCERPT_LENGTH:
            break
    return text[:EXCERPT_LENGTH]


def _row(transcript_id: uuid.UUID, position: int, sentence: Sentence) -> dict[str, object]:
    return {
        "transcript_id": transcript_id,
        "position": position,
        "paragraph": sentence.paragraph,
        "begin_ms": sentence.begin_ms,
        "end_ms": sentence.end_ms,
        "text": sentence.text,
        "words": [_word(sentence, word) for word in sentence.words],
        "speaker": sentence.speaker,
        "channel": sentence.channel,
        "confidence": sentence.confidence,
        "language": sentence.language,
        "emotion": sentence.emotion,
        "events": list(sentence.events),
        "substitutions": [asdict(made) for made in sentence.substitutions],
    }


def _word(sentence: Sentence, word: Word) -> list[object]:
    times = (word.begin_ms, word.end_ms) if sentence.timed else (None, None)
    return [word.text, *times, word.confidence]
