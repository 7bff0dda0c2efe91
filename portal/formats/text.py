"""Plain text, and what every format needs: clean characters, clock times, names of who speaks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from portal.asr.sentences import join
from portal.asr.types import Sentence

# C0 and C1 controls but tab and line feed, surrogates, non-characters, and the bidirectional overrides that make a
# text read differently from what it is
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Without characters that no format may carry. Tab and line feed stay."""
    return _UNWANTED.sub("", text)


def clock(ms: int, *, decimal: str = "", always_hours: bool = True) -> str:
    """``01:02:03``, or with ``decimal`` "," or "." also milliseconds: ``01:02:03,004``."""
    seconds, fraction = divmod(max(0, ms), 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    head = f"{hours:02}:" if always_hours or hours else ""
    return f"{head}{minute:02}:{second:02}" + (f"{decimal}{fraction:03}" if decimal else "")


def label_of(sentence: Sentence, channels: Mapping[int, str] | None = None) -> str:
    """Who speaks: the speaker's name, else the channel's name from ``channels``, else nothing."""
    if sentence.speaker:
        return clean(sentence.speaker).replace("\n", " ").strip()
    if sentence.channel is None or not channels:
        return ""
    return channels.get(sentence.channel, "")


def to_txt(sentences: Sequence[Sentence], *, times: bool = False, channels: Mapping[int, str] | None = None) -> str:
    """One line a paragraph, a blank line between; optionally ``[00:01:02]`` in front, and who speaks.

    ``channels`` names the sides of a telephone call. The text ends with a line feed; without sentences it is empty.
    """
    lines: list[str] = []
    for _, group in groupby(sentences, key=lambda s: (s.paragraph, label_of(s, channels))):
        paragraph = list(group)
        label = label_of(paragraph[0], channels)
        stamp = f"[{clock(paragraph[0].begin_ms)}] " if times else ""
        lines.append(stamp + (f"{label}：" if label else "") + joined(s.text for s in paragraph))
    return "\n\n".join(lines) + "\n" if lines else ""


def joined(texts: Iterable[str]) -> str:
    """Sentences in a row, on one line."""
    line = ""
    for text in texts:
        line = join(line, " ".join(clean(text).split("\n")).strip())
    return line
