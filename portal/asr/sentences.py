"""Words with marks become sentences with text, times and confidence, and sentences become paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from portal.asr.itn import normalise
from portal.asr.punctuation import END_MARKS, PAUSE_MARKS, Marked, widest_gap
from portal.asr.replacements import Replacer
from portal.asr.types import Replacement, Sentence, Word

MAX_SENTENCE_MS = 60_000
MAX_SENTENCE_CHARACTERS = 120
PARAGRAPH_PAUSE_MS = 2_000
LONG_PARAGRAPH_CHARACTERS = 500
"""From here on a short pause (``BREATH_MS``) is enough to begin a new paragraph."""
BREATH_MS = 600

_MIN_PIECE = 10  # words: a run-on is not split right after its beginning
_UNSPACED = re.compile(
    r"[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
"""Letters of scripts without spaces between words: Chinese characters, kana, full-width forms."""
_LATIN_MARKS = str.maketrans({"，": ",", "、": ",", "；": ";", "：": ":", "。": ".", "？": "?", "！": "!"})


class SentenceBuilder:
    """Collects the marked words of one channel and gives sentences as they end."""

    def __init__(
        self, *, channel: int | None = None, itn: bool = True, replacements: Sequence[Replacement] = ()
    ) -> None:
        self._channel, self._itn = channel, itn
        self._replacer = Replacer(replacements)
        self._words: list[Word] = []
        self._marks: list[str] = []

    def push(self, marked: Iterable[Marked]) -> list[Sentence]:
        """Add words in order; return the sentences that ended."""
        done: list[Sentence] = []
        for word, mark in marked:
            self._words.append(word)
            self._marks.append(mark)
            if mark and mark in END_MARKS:
                done += self.finish()
        return done

    def finish(self) -> list[Sentence]:
        """Close the sentence that is open, whatever its last mark is."""
        words, marks = self._words, self._marks
        self._words, self._marks = [], []
        sentences: list[Sentence] = []
        while words:
            size = _piece(words, marks)
            sentences.append(self._sentence(words[:size], marks[:size]))
            words, marks = words[size:], marks[size:]
        return sentences

    def _sentence(self, words: Sequence[Word], marks: Sequence[str]) -> Sentence:
        begin, end = words[0].begin_ms, max(word.end_ms for word in words)
        if self._itn:
            words, marks = normalise(words, marks)
        words, marks, substitutions = self._replacer.apply(words, marks)  # last: what a department wrote stays so
        return Sentence(
            render(words, marks),
            begin,
            end,
            words,
            channel=self._channel,
            confidence=mean_confidence(words),
            substitutions=substitutions,
        )


def mean_confidence(words: Iterable[Word]) -> float | None:
    """Mean of the known confidences (0..1), None when none is known."""
    known = [word.confidence for word in words if word.confidence is not None]
    return sum(known) / len(known) if known else None


def _piece(words: Sequence[Word], marks: Sequence[str]) -> int:
    """How many words from the front make one sentence: all of them, or a run-on's part up to its last fitting comma."""
    fits, characters = 0, 0
    for word in words:
        characters += len(word.text)
        if characters > MAX_SENTENCE_CHARACTERS or word.end_ms - words[0].begin_ms > MAX_SENTENCE_MS:
            break
        fits += 1
    if fits == len(words) or len(words) == 1:
        return len(words)
    if fits <= _MIN_PIECE:  # long silences inside: the pause is the best place there is
        return max(1, widest_gap(words, 0, max(1, fits)) + 1)
    comma = next((i for i in range(fits - 1, _MIN_PIECE - 2, -1) if marks[i] and marks[i] in PAUSE_MARKS), None)
    return (widest_gap(words, fits // 2, fits) if comma is None else comma) + 1


def render(words: Sequence[Word], marks: Sequence[str]) -> str:
    """The sentence as text: a space between Latin words, none beside Chinese; Western marks when all of it is Latin."""
    latin = all(word.text.isascii() for word in words) and any(c.isalpha() for word in words for c in word.text)
    text = ""
    for word, mark in zip(words, marks, strict=True):
        text = join(text, word.text)
        text += mark.translate(_LATIN_MARKS) if latin else mark
    return text


def join(left: str, right: str) -> str:
    """Two pieces of text in a row, with a space where two words or sentences of a spaced script would touch."""
    space = left and right and (_spaced(left[-1]) or left[-1] in ".,;:?!%)'\"") and _spaced(right[0])
    return f"{left} {right}" if space else left + right


def _spaced(character: str) -> bool:
    """Whether words in this letter's script are set apart by spaces: Latin, Korean and others, not Chinese or kana."""
    return character.isalnum() and not _UNSPACED.match(character)


def paragraphed(sentences: Iterable[Sentence], *, pause_ms: int = PARAGRAPH_PAUSE_MS) -> tuple[Sentence, ...]:
    """Sort by time and number the paragraphs: a pause, another channel or another speaker begins a new one.

    A monologue without pauses is divided at a breath once its paragraph is long.
    """
    out: list[Sentence] = []
    paragraph = characters = end = 0
    for sentence in sorted(sentences, key=lambda s: (s.begin_ms, s.channel or 0)):
        if out:
            pause, last = sentence.begin_ms - end, out[-1]
            turn = (sentence.channel, sentence.speaker) != (last.channel, last.speaker)
            breath = pause >= BREATH_MS and characters >= LONG_PARAGRAPH_CHARACTERS
            if turn or pause >= pause_ms or breath:
                paragraph, characters = paragraph + 1, 0
        out.append(replace(sentence, paragraph=paragraph))
        characters += len(sentence.text)
        end = max(end, sentence.end_ms)
    return tuple(out)
