"""A recognition result to store."""

from __future__ import annotations

from typing import Literal

from portal.asr.types import ModelInfo, Sentence, Transcription, Word

MODEL = ModelInfo("fake", "Paraformer", "0" * 64, "cpu")


def result(
    text: str = "大家好。", outcome: Literal["text", "no_speech", "not_recognised"] = "text", audio_ms: int = 60_000
) -> Transcription:
    sentence = Sentence(text, 0, 900, tuple(Word(ch, 0, 100, 0.9) for ch in text))
    return Transcription((sentence,) if outcome == "text" else (), audio_ms, 900, MODEL, outcome)
