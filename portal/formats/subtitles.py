"""Subtitles: SubRip (SRT) and WebVTT (W3C), with lines short enough to read.

A sentence becomes one cue or several: at most two lines of twenty Chinese characters (a Western letter counts half)
and eight seconds, divided between words, at punctuation where there is some, and timed by the words themselves.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.asr.types import Sentence
from portal.formats.text import clean, clock, label_of

LINE_CHARACTERS = 20
LINES = 2
MAX_CUE_MS = 8_000
_STOPS = "。？！，、；：.?!,;:"


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: when, who, and its one or two lines."""

    begin_ms: int
    end_ms: int
    lines: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word with whatever follows it in the text: punctuation and spaces."""

    text: str
    begin_ms: int
    end_ms: int

    @property
    def width(self) -> float:
        return width(self.text)


def to_srt(sentences: Sequence[Sentence], *, channels: Mapping[int, str] | None = None) -> str:
    """SubRip: numbered cues, ``00:00:01,000 --> 00:00:02,000``. The format has no escapes, so ``-->`` becomes ``→``."""
    blocks = []
    for number, cue in enumerate(cues_of(sentences, channels=channels), 1):
        text = "\n".join(line.replace("-->", "→") for line in cue.lines)
        label = f"{cue.label}：" if cue.label else ""
        times = f"{clock(cue.begin_ms, decimal=',')} --> {clock(cue.end_ms, decimal=',')}"
        blocks.append(f"{number}\n{times}\n{label}{text}\n")
    return "\n".join(blocks)


def to_vtt(sentences: Sequence[Sentence], *, channels: Mapping[int, str] | None = None) -> str:
    """WebVTT: ``&``, ``<`` and ``>`` escaped, who speaks as a voice tag."""
    blocks = ["WEBVTT\n"]
    for cue in cues_of(sentences, channels=channels):
        text = "\n".join(html.escape(line, quote=False) for line in cue.lines)
        voice = f"<v {html.escape(cue.label, quote=False)}>" if cue.label else ""
        blocks.append(f"{clock(cue.begin_ms, decimal='.')} --> {clock(cue.end_ms, decimal='.')}\n{voice}{text}\n")
    return "\n".join(blocks)


def cues_of(sentences: Sequence[Sentence], *, channels: Mapping[int, str] | None = None) -> list[Cue]:
    """The cues of ``sentences`` in order. Sentences without text give none; every cue lasts at least a millisecond."""
    cues: list[Cue] = []
    for sentence in sentences:
        label = label_of(sentence, channels)
        pending = _pieces(sentence)
        while pending:
            size = _cue_size(pending)
            part, pending = pending[:size], pending[size:]
            lines = tuple(line for line in _lines(part) if line)
            if lines:
                end = max(max(piece.end_ms for piece in part), part[0].begin_ms + 1)
                cues.append(Cue(part[0].begin_ms, end, lines, label))
    return cues


def width(text: str) -> float:
    """Width in Chinese characters: 1 for wide ones, a half for the others."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WFA" else 0.5 for c in text)


def _pieces(sentence: Sentence) -> list[_Piece]:
    """The sentence's text cut at its words. An edited text in which the words no longer lie is spread evenly."""
    text = " ".join(clean(sentence.text).split())
    if not sentence.timed:
        return _spread(text, sentence)
    cuts: list[int] = []
    position = 0
    for word in sentence.words:
        found = text.find(word.text, position) if word.text else -1
        if found < 0:
            return _spread(text, sentence)
        cuts.append(found if cuts else 0)
        position = found + len(word.text)
    if not cuts:
        return _spread(text, sentence)
    ends = [*cuts[1:], len(text)]
    pieces = zip(sentence.words, cuts, ends, strict=True)
    return [part for word, a, b in pieces for part in _bounded(_Piece(text[a:b], word.begin_ms, word.end_ms))]


def _spread(text: str, sentence: Sentence) -> list[_Piece]:
    duration = max(0, sentence.end_ms - sentence.begin_ms)
    tokens = _tokens(text)
    total, done, pieces = sum(map(len, tokens)), 0, []
    for token in tokens:
        begin = sentence.begin_ms + duration * done // total
        done += len(token)
        pieces += _bounded(_Piece(token, begin, sentence.begin_ms + duration * done // total))
    return pieces


def _tokens(text: str) -> list[str]:
    """Chinese characters one by one, Western words whole, each with the marks and spaces after it."""
    tokens: list[str] = []
    for character in text:
        glued = character in _STOPS or character == " "
        inside = bool(tokens) and character.isascii() and tokens[-1][-1].isascii() and tokens[-1][-1] not in " ,;:.?!"
        if tokens and (glued or inside):
            tokens[-1] += character
        else:
            tokens.append(character)
    return tokens


def _bounded(piece: _Piece) -> list[_Piece]:
    """A piece wider than a line is cut; its time is divided."""
    if piece.width <= LINE_CHARACTERS:
        return [piece]
    size = LINE_CHARACTERS
    parts = [piece.text[i : i + size] for i in range(0, len(piece.text), size)]
    step = (piece.end_ms - piece.begin_ms) / len(parts)
    edges = [piece.begin_ms + round(step * i) for i in range(len(parts) + 1)]
    return [_Piece(part, edges[i], edges[i + 1]) for i, part in enumerate(parts)]


def _cue_size(pieces: Sequence[_Piece]) -> int:
    """How many pieces fit into one cue; when not all do, back to the last punctuation in its second half."""
    fits = 1
    while fits < len(pieces) and _fits(pieces[: fits + 1]):
        fits += 1
    if fits == len(pieces):
        return fits
    stops = [i + 1 for i in range(fits // 2, fits) if pieces[i].text.rstrip()[-1:] in _STOPS]
    return stops[-1] if stops else fits


def _fits(pieces: Sequence[_Piece]) -> bool:
    lasts = pieces[-1].end_ms - pieces[0].begin_ms
    return lasts <= MAX_CUE_MS and len(_lines(pieces)) <= LINES


def _lines(pieces: Sequence[_Piece]) -> list[str]:
    """Pieces on as few lines as possible; two lines are divided at punctuation when one lies in the second half."""
    lines: list[list[_Piece]] = [[]]
    for piece in pieces:
        if lines[-1] and width("".join(p.text for p in [*lines[-1], piece]).rstrip()) > LINE_CHARACTERS:
            lines.append([])
        lines[-1].append(piece)
    return ["".join(piece.text for piece in line).strip() for line in lines]
