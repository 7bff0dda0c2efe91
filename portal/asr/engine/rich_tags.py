"""SenseVoice's tags (``<|zh|>``, ``<|HAPPY|>``, ``<|BGM|>``): fields of a segment, never text. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

TAG: Final = re.compile(r"<\|[^<>|]{1,40}\|>")
"""One tag, as a whole piece of the model's vocabulary."""
LANGUAGES: Final = ("zh", "en", "yue", "ja", "ko")
EMOTIONS: Final = frozenset({"happy", "sad", "angry", "neutral", "fearful", "disgusted", "surprised"})
EVENTS: Final = frozenset({"bgm", "applause", "laughter", "cry", "sneeze", "breath", "cough", "sing", "speech_noise"})
"""Sounds worth telling; that there is speech goes without saying."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What the tags of one segment say; None and empty where they say nothing."""

    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()

    @classmethod
    def of(cls, tags: Iterable[str]) -> Tags:
        """Read tags such as ``<|zh|>``. The first language and emotion count, events each once; others are dropped."""
        names = [tag.removeprefix("<|").removesuffix("|>").lower() for tag in tags]
        return cls(
            next((name for name in names if name in LANGUAGES), None),
            next((name for name in names if name in EMOTIONS), None),
            tuple(dict.fromkeys(name for name in names if name in EVENTS)),
        )
