"""What to ask of the engine for a person's options: all that the model in use can do, and a warning for the rest. Pure.

The model may have changed between the choice on a page and the run, so the pages' offers are not enough.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from portal.asr.engine.contract import RecordingOptions
from portal.asr.types import Replacement, TranscribeOptions

HOTWORDS_NOT_USED = "HOTWORDS_NOT_USED"
LANGUAGE_NOT_OFFERED = "LANGUAGE_NOT_OFFERED"
SPEAKERS_NOT_OFFERED = "SPEAKERS_NOT_OFFERED"


@dataclass(frozen=True, slots=True)
class Asked:
    """``recording``: what the engine gets. ``timed``: words will have times of their own. ``itn``: numbers are still
    to be written here, because the model does not do it. ``warnings``: codes of what was left out. ``replacements``:
    what to write right afterwards, whatever the model."""

    recording: RecordingOptions
    timed: bool
    itn: bool
    warnings: tuple[str, ...]
    replacements: tuple[Replacement, ...] = ()


def ask(options: TranscribeOptions, capabilities: Collection[str], languages: Collection[str], *, split: bool) -> Asked:
    """Work out the engine's options.

    Args:
        capabilities: see ``contract.Capability``; empty when the engine does not say, then everything is asked for.
        languages: codes of ``language_choice``.
        split: the sides of a call are apart; then nobody needs to tell voices apart.
    """

    def can(name: str) -> bool:
        return not capabilities or name in capabilities

    left_out: list[str] = []

    def wanted(asked_for: bool, possible: bool, code: str) -> bool:
        if asked_for and not possible and not options.spans_only:
            left_out.append(code)
        return asked_for and possible and not options.spans_only

    hotwords = wanted(bool(options.hotwords), can("hotwords"), HOTWORDS_NOT_USED)
    offered = can("language_choice") and (not capabilities or options.language in languages)
    language = wanted(options.language != "auto", offered, LANGUAGE_NOT_OFFERED)
    speakers = wanted(options.speakers and not split, can("speakers"), SPEAKERS_NOT_OFFERED)
    timed = options.word_times and can("word_times")
    recording = RecordingOptions(
        hotwords=options.hotwords if hotwords else (),
        hotword_weight=options.hotword_weight,
        want_words=timed,
        max_segment_ms=options.vad.max_segment_ms,
        end_silence_ms=options.vad.end_silence_ms,
        speech_threshold=options.vad.threshold,
        vad_only=options.spans_only,
        language=options.language if language else "auto",
        itn=options.itn,
        speakers=speakers,
        speaker_count=options.speaker_count if speakers else None,
    )
    itn = options.itn and not (bool(capabilities) and "model_itn" in capabilities)
    return Asked(recording, timed, itn, tuple(left_out), options.replacements)
