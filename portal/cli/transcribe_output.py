"""What ``portal transcribe`` writes: a text, subtitles, a table, JSON; or the times of speech."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from portal.asr.types import Sentence, Transcription

Format = Literal["txt", "json", "srt", "vtt", "csv"]
FORMATS = ("txt", "json", "srt", "vtt", "csv")
FORMATS_OF_SPANS = ("txt", "json", "csv")
_SIDES = {0: "声道 1", 1: "声道 2"}


def written(result: Transcription, form: Format) -> str:
    """The result in one format."""
    if result.spans is not None:
        return _spans(result, form)
    from portal.formats import to_csv, to_json, to_srt, to_txt, to_vtt

    if form == "json":
        return to_json(result)
    sentences = [_named(sentence) for sentence in result.sentences]
    split = {s.channel for s in sentences} > {0} or None
    names = _SIDES if split else None
    if form == "srt":
        return to_srt(sentences, channels=names)
    if form == "csv":
        return to_csv(sentences, channels=names)
    return to_vtt(sentences, channels=names) if form == "vtt" else to_txt(sentences, channels=names)


def _spans(result: Transcription, form: Format) -> str:
    from portal.formats import covered_ms, spans_csv, spans_json, spans_txt

    spans = result.spans or ()
    if form == "json":
        return spans_json(spans, audio_ms=result.audio_ms, speech_ms=covered_ms(spans))
    return spans_csv(spans, channels=_SIDES) if form == "csv" else spans_txt(spans, channels=_SIDES)


def _named(sentence: Sentence) -> Sentence:
    """A voice's number becomes a name."""
    return sentence if sentence.speaker is None else replace(sentence, speaker=f"说话人 {sentence.speaker}")
