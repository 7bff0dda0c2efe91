"""From stored sentences to a document: paragraphs, the place of each word in its sentence, words the model doubts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.asr.sentences import join
from portal.models import TranscriptSentence

UNSURE_BELOW = 0.6
"""A word whose confidence lies under this is marked quietly."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; ``unsure`` where the model doubts it; ``heard``: what stood there before the wrong→right table."""

    text: str
    unsure: bool
    heard: str | None = None


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """A sentence as the page shows it.

    ``word_places`` holds four numbers for each word: where it begins in the text, its length (characters), and when it
    begins and ends (ms after the sentence's begin); it is empty where the model gave words no times. ``gap`` is the
    space that goes before it, for Latin script. ``tags`` are pairs of a kind (``language``, ``emotion``, ``event``)
    and a code; language and emotion stand only where they change.
    """

    position: int
    begin_ms: int
    end_ms: int
    pieces: tuple[Piece, ...]
    word_places: tuple[int, ...]
    gap: str
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences that belong together: one paragraph of one channel or speaker."""

    begin_ms: int
    channel: int | None
    speaker: str | None
    sentences: tuple[ShownSentence, ...]

    @property
    def colour(self) -> int:
        """1..4: which of the four dots stands beside the name."""
        if self.speaker and self.speaker.isascii() and self.speaker.isdigit():
            return (int(self.speaker) - 1) % 4 + 1
        return (self.channel or 0) % 4 + 1


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    length: int
    begin_ms: int | None
    end_ms: int | None
    confidence: float | None
    word: int
    """Which word of the sentence it is."""

    @property
    def unsure(self) -> bool:
        return self.confidence is not None and self.confidence < UNSURE_BELOW


def paragraphs(rows: Sequence[TranscriptSentence]) -> list[Paragraph]:
    """Group sentences, in order, by paragraph and channel."""
    found: list[Paragraph] = []
    group: list[ShownSentence] = []
    head: TranscriptSentence | None = None
    before = ""
    last: TranscriptSentence | None = None
    for row in rows:
        if head is not None and _key(row) != _key(head):
            found.append(Paragraph(head.begin_ms, head.channel, head.speaker, tuple(group)))
            head, group, before = None, [], ""
        head = head or row
        group.append(_shown(row, before, last))
        before, last = row.text, row
    if head is not None:
        found.append(Paragraph(head.begin_ms, head.channel, head.speaker, tuple(group)))
    return found


def _key(row: TranscriptSentence) -> tuple[int, int | None, str | None]:
    return row.paragraph, row.channel, row.speaker


def _shown(row: TranscriptSentence, before: str, last: TranscriptSentence | None) -> ShownSentence:
    places = _places(row.text, row.words)
    flat: list[int] = []
    for place in places:
        if place.begin_ms is not None and place.end_ms is not None:
            flat += (place.start, place.length, place.begin_ms - row.begin_ms, place.end_ms - row.begin_ms)
    gap = join(before, row.text)[len(before) : -len(row.text) or None]
    pieces, tags = _pieces(row.text, places, row.substitutions or ()), _tags(row, last)
    return ShownSentence(row.position, row.begin_ms, row.end_ms, pieces, tuple(flat), gap, tags)


def _tags(row: TranscriptSentence, last: TranscriptSentence | None) -> tuple[tuple[str, str], ...]:
    """What the model said beside the words, as far as it is news. The language of the first sentence is no news."""
    found: list[tuple[str, str]] = []
    if row.language and last is not None and last.language != row.language:
        found.append(("language", row.language))
    if row.emotion and (last is None or last.emotion != row.emotion or _key(last) != _key(row)):
        found.append(("emotion", row.emotion))
    return (*found, *(("event", str(event)) for event in row.events or ()))


def _places(text: str, words: Sequence[Sequence[Any]]) -> list[_Place]:
    # the text is the words with punctuation between them; a word that isn't there (an older format) is passed over
    places: list[_Place] = []
    at = 0
    for number, (word, begin_ms, end_ms, confidence) in enumerate(words):
        start = text.find(str(word), at)
        if start < 0 or not word:
            continue
        at = start + len(word)
        places.append(_Place(start, len(word), begin_ms, end_ms, confidence, number))
    return places


def _pieces(text: str, places: Sequence[_Place], substitutions: Sequence[Mapping[str, Any]]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = 0
    for start, marked in _marked(text, places, substitutions):
        if start < at:
            continue
        last = pieces[-1] if pieces else None
        if last and start == at and last.unsure and marked.unsure and last.heard is marked.heard is None:
            pieces[-1] = Piece(last.text + marked.text, unsure=True)  # neighbours share one mark
        else:
            if start > at:
                pieces.append(Piece(text[at:start], unsure=False))
            pieces.append(marked)
        at = start + len(marked.text)
    if at < len(text):
        pieces.append(Piece(text[at:], unsure=False))
    return tuple(pieces)


def _marked(
    text: str, places: Sequence[_Place], substitutions: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, Piece]]:
    """What carries a mark, in order, and where it begins. A replaced run comes before the doubted words in it."""
    replaced = {int(made["word"]): made for made in substitutions}
    for place in places:
        made = replaced.get(place.word)
        if made is not None and text.startswith(str(made["written"]), place.start):
            end = place.start + len(made["written"])
            unsure = any(word.unsure for word in places if place.start <= word.start < end)
            yield place.start, Piece(text[place.start : end], unsure, str(made["heard"]))
        elif place.unsure:
            yield place.start, Piece(text[place.start : place.start + place.length], unsure=True)
