"""The JSON of one transcription: what ``portal transcribe --format json`` prints and what the API gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from portal.asr.types import ModelInfo, Sentence, Substitution, Transcription, Word
from portal.formats.text import clean


def to_json(transcription: Transcription) -> str:
    """One object: ``text``, ``audio_seconds``, ``model``, ``sentences`` and besides ``outcome`` and ``warnings``.

    ``confidence``, ``speaker``, ``channel``, ``language`` and ``emotion`` are null where unknown, and so are the times
    of words that the model did not give; then a sentence's own are estimates. The text ends with a line feed.
    """
    content = {
        "text": clean(transcription.text),
        "audio_seconds": round(transcription.audio_ms / 1000, 3),
        "model": _model(transcription.model),
        "outcome": transcription.outcome,
        "warnings": list(transcription.warnings),
        "sentences": sentence_objects(transcription.sentences),
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def sentence_objects(sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    """The sentences as JSON values."""
    return [sentence_object(sentence) for sentence in sentences]


def sentence_object(sentence: Sentence) -> dict[str, Any]:
    """One sentence with its words as JSON values; times in milliseconds."""
    return {
        "text": clean(sentence.text),
        "begin_ms": sentence.begin_ms,
        "end_ms": sentence.end_ms,
        "paragraph": sentence.paragraph,
        "speaker": None if sentence.speaker is None else clean(sentence.speaker),
        "channel": sentence.channel,
        "confidence": _rounded(sentence.confidence),
        "language": sentence.language,
        "emotion": sentence.emotion,
        "events": list(sentence.events),
        "words": [_word(word, timed=sentence.timed) for word in sentence.words],
        "substitutions": [_substitution(made, timed=sentence.timed) for made in sentence.substitutions],
    }


def _word(word: Word, *, timed: bool) -> dict[str, Any]:
    return {
        "text": clean(word.text),
        "begin_ms": word.begin_ms if timed else None,
        "end_ms": word.end_ms if timed else None,
        "confidence": _rounded(word.confidence),
    }


def _substitution(made: Substitution, *, timed: bool) -> dict[str, Any]:
    """What the wrong→right table changed: ``word`` is the place of the first written word in ``words``."""
    return {
        "heard": clean(made.heard),
        "written": clean(made.written),
        "by_sound": made.near,
        "word": made.word,
        "begin_ms": made.begin_ms if timed else None,
        "end_ms": made.end_ms if timed else None,
    }


def _model(model: ModelInfo) -> dict[str, Any]:
    return {
        "name": model.name,
        "family": model.family,
        "digest": model.digest,
        "device": model.device,
        "demo": model.demo,
        "profile": model.profile or None,
    }


def _rounded(value: float | None) -> float | None:
    """Four places; a value that is no number counts as unknown (JSON has no NaN)."""
    return round(value, 4) if value is not None and 0 <= value <= 1 else None
