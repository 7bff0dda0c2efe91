"""Who speaks which sentence. Pure: spans of speakers in, labelled sentences out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from portal.asr.types import Sentence

SpeakerSpan = tuple[int, int, int]
"""``(begin_ms, end_ms, number)``: one person, by any number, speaks in ``[begin_ms, end_ms)``."""


def label(sentences: Sequence[Sentence], spans: Iterable[SpeakerSpan]) -> tuple[Sentence, ...]:
    """The sentences, each with the ``speaker`` who is heard longest in it: "1", "2", … in the order they first speak.

    A sentence that no span touches gets the speaker of the nearest span. Without spans nobody is named. Sentences may
    overlap and come in any order; their order is kept.
    """
    ordered = sorted((begin, end, number) for begin, end, number in spans if begin < end)
    if not ordered:
        return tuple(replace(sentence, speaker=None) for sentence in sentences)
    longest = max(end - begin for begin, end, _ in ordered)
    begins = [begin for begin, _, _ in ordered]
    chosen = [_speaker(sentence, ordered, begins, longest) for sentence in sentences]
    names: dict[int, str] = {}
    for index in sorted(range(len(sentences)), key=lambda i: (sentences[i].begin_ms, sentences[i].end_ms)):
        names.setdefault(chosen[index], str(len(names) + 1))
    return tuple(replace(sentence, speaker=names[number]) for sentence, number in zip(sentences, chosen, strict=True))


def _speaker(sentence: Sentence, spans: Sequence[SpeakerSpan], begins: Sequence[int], longest: int) -> int:
    """Number of the speaker with the most overlap; between equals the one heard first."""
    # no span that begins earlier than this reaches the sentence
    first = bisect_left(begins, sentence.begin_ms - longest)
    heard: dict[int, int] = {}
    for begin, end, number in spans[first:]:
        if begin >= sentence.end_ms:
            break
        overlap = min(end, sentence.end_ms) - max(begin, sentence.begin_ms)
        if overlap > 0:
            heard[number] = heard.get(number, 0) + overlap
    if heard:
        return max(heard, key=lambda number: heard[number])
    return min(spans, key=lambda span: _gap(sentence, span))[2]


def _gap(sentence: Sentence, span: SpeakerSpan) -> int:
    """Milliseconds of silence between a sentence and a span."""
    return max(span[0] - sentence.end_ms, sentence.begin_ms - span[1], 0)
