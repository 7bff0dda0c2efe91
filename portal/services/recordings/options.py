"""What a person may choose when handing over a recording: an explicit schema; anything else is refused by name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from portal.asr.types import Replacement, TranscribeOptions, VadOptions
from portal.asr.vad_presets import CUSTOM, PRESETS, FilePreset, OutOfLimits, within_limits
from portal.errors import PortalError
from portal.services.hotwords import replacement_snapshot, snapshot
from portal.services.identity.actor import Actor
from portal.settings import Settings

HOTWORD_WEIGHTS = {"normal": 1.0, "careful": 0.7, "slight": 0.4}
"""How much the model's guess at a hotword counts against what it hears without. 1 is FunASR's own and the most there
is: the guess then stands alone."""


class VadChoice(BaseModel):
    """How speech is cut: a preset, or with ``custom`` one's own numbers, checked against ``asr.vad_presets``.

    ``max_segment_ms`` and ``end_silence_ms`` in ms, ``threshold`` 0..1; None for the last two: as FunASR decides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: FilePreset = "general"
    max_segment_ms: int | None = Field(default=None, strict=True)
    end_silence_ms: int | None = Field(default=None, strict=True)
    threshold: float | None = None

    def numbers(self) -> VadOptions:
        """The settings in numbers.

        Raises:
            PortalError: INVALID_VALUE for numbers beside a preset, or beyond their limits.
        """
        own = {
            name: value
            for name in ("max_segment_ms", "end_silence_ms", "threshold")
            if (value := getattr(self, name)) is not None
        }
        if self.preset != CUSTOM:
            if own:
                raise PortalError("INVALID_VALUE", field=min(own))
            return PRESETS[self.preset]
        try:
            return within_limits(VadOptions(**own))
        except OutOfLimits as error:
            raise PortalError("INVALID_VALUE", field=error.field) from None


class UploadOptions(BaseModel):
    """The choices. ``hotwords`` is free text: words separated by spaces, commas or lines.

    ``result``: a text, or only the times at which somebody spoke; then what concerns text is left aside.
    ``language``: ``auto`` or a code of the model's; ``speakers``: tell voices apart, ``speaker_count`` when known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    itn: bool = Field(default=True, strict=True)
    channels: Literal["mix", "split"] = "mix"
    vad: VadChoice = VadChoice()
    result: Literal["text", "spans"] = "text"
    language: str = Field(default="auto", max_length=16, pattern=r"^[a-z]{2,8}(-[A-Za-z]{2,8})?$")
    speakers: bool = Field(default=False, strict=True)
    speaker_count: int | None = Field(default=None, ge=1, le=20, strict=True)
    hotword_strength: Literal["normal", "careful", "slight"] = "normal"
    hotword_lists: tuple[uuid.UUID, ...] = Field(default=(), max_length=50)
    hotwords: str = Field(default="", max_length=20_000)


def parse_options(values: object) -> UploadOptions:
    """Check the choices.

    Raises:
        PortalError: UNKNOWN_FIELD or INVALID_VALUE, with the field's name.
    """
    try:
        options = UploadOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "options"
        code = "UNKNOWN_FIELD" if first["type"] == "extra_forbidden" else "INVALID_VALUE"
        raise PortalError(code, field=field[:64]) from None
    options.vad.numbers()
    return options


def snapshot_options(session: Session, actor: Actor, options: UploadOptions, settings: Settings) -> dict[str, Any]:
    """The choices as they are kept with an upload, hotwords already looked up and cleaned.

    Taken when the upload begins, so a word that can't be used is refused before 2 GB were sent, and lists that change
    meanwhile don't change what the person saw.

    Raises:
        PortalError: HOTWORD_REFUSED, HOTWORDS_TOO_MANY; NotFound for a list of strangers.
    """
    words: list[str] = []
    versions: list[Any] = []
    if options.result == "text" and (options.hotword_lists or options.hotwords.strip()):
        found = snapshot(
            session,
            actor,
            options.hotword_lists,
            options.hotwords,
            max_words=settings.hotwords_per_job,
            max_length=settings.hotword_max_length,
        )
        words, versions = list(found.words), list(found.versions)
    cutting = options.vad.numbers()
    return {
        "itn": options.itn,
        "channels": options.channels,
        "vad": {
            "preset": options.vad.preset,
            "max_segment_ms": cutting.max_segment_ms,
            "end_silence_ms": cutting.end_silence_ms,
            "threshold": cutting.threshold,
        },
        "result": options.result,
        "language": options.language,
        "speakers": options.speakers,
        "speaker_count": options.speaker_count if options.speakers else None,
        "hotword_strength": options.hotword_strength,
        "replacements": replacement_snapshot(session, actor) if options.result == "text" else [],
        "hotwords": words,
        "hotword_versions": versions,
    }


def of_the_run(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a snapshot that a transcription keeps as its ``options``; hotwords have columns of their own."""
    return {name: value for name, value in kept.items() if name not in ("hotwords", "hotword_versions")}


def transcribe_options(
    kept: Mapping[str, Any], hotwords: tuple[str, ...] = (), replacements: tuple[Replacement, ...] = ()
) -> TranscribeOptions:
    """What the pipeline is asked for a transcription's ``options``; what is missing there means its default."""
    cutting = kept.get("vad") or {}
    return TranscribeOptions(
        hotwords=hotwords,
        itn=bool(kept.get("itn", True)),
        channels="split" if kept.get("channels") == "split" else "mix",
        vad=VadOptions(
            max_segment_ms=int(cutting.get("max_segment_ms") or VadOptions().max_segment_ms),
            end_silence_ms=cutting.get("end_silence_ms"),
            threshold=cutting.get("threshold"),
        ),
        spans_only=kept.get("result") == "spans",
        language=str(kept.get("language") or "auto"),
        speakers=bool(kept.get("speakers", False)),
        speaker_count=kept.get("speaker_count"),
        hotword_weight=HOTWORD_WEIGHTS.get(kept.get("hotword_strength", ""), 1.0),
        replacements=replacements,
    )
