"""Ask the engine for punctuation over a moving window, so that a sentence may run over the segments VAD cut.

Marks near the end of a window are guesses (the model has not seen what follows), so the words after the last safe
sentence end are carried into the next window. Silence has a say too: the model reads text alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from portal.asr.errors import ProtocolError
from portal.asr.types import Word

Ask = Callable[[Sequence[str]], list[str]]
Marked = tuple[Word, str]
"""A word and the mark after it: '' or one of ，、；：。？！."""

END_MARKS = "。？！"
PAUSE_MARKS = "，、；："
WINDOW_WORDS = 200
CARRY_WORDS = 20
END_PAUSE_MS = 1_500
"""After a longer silence a comma becomes a full stop."""
SILENT_END_MS = 3_000
"""After a longer silence a sentence ends even where the model saw none."""
_ENOUGH_WORDS = 30
HARD_PAUSE_MS = 5_000
"""A longer silence ends the window as well: what follows is asked on its own."""


class Punctuator:
    """Takes words of one channel in order, gives them back with marks. Holds at most a window of words."""

    def __init__(self, ask: Ask) -> None:
        """``ask`` is the engine's ``punctuate``: for each word the mark after it."""
        self._ask = ask
        self._pending: list[Word] = []

    def push(self, words: Sequence[Word]) -> list[Marked]:
        """Add words; return those whose marks are settled."""
        settled: list[Marked] = []
        for word in words:
            if self._pending and word.begin_ms - self._pending[-1].end_ms > HARD_PAUSE_MS:
                settled += self.finish()
            self._pending.append(word)
            if len(self._pending) >= WINDOW_WORDS:
                settled += self._settle()
        return settled

    def finish(self) -> list[Marked]:
        """Everything that is left; its last word ends a sentence."""
        words, self._pending = self._pending, []
        if not words:
            return []
        marks = self._marks(words)
        if marks[-1] not in END_MARKS or not marks[-1]:
            marks[-1] = "。"
        return list(zip(words, marks, strict=True))

    def _settle(self) -> list[Marked]:
        words = self._pending
        marks = self._marks(words)
        safe = range(len(words) - CARRY_WORDS - 1, -1, -1)
        cut = next((i for i in safe if marks[i] and marks[i] in END_MARKS), None)
        if cut is None:
            cut = next((i for i in safe if i >= len(words) // 2 and marks[i]), None)
        if cut is None:
            cut = widest_gap(words, len(words) // 2, len(words) - CARRY_WORDS)
        self._pending = words[cut + 1 :]
        return list(zip(words[: cut + 1], marks[: cut + 1], strict=True))

    def _marks(self, words: Sequence[Word]) -> list[str]:
        marks = list(self._ask([word.text for word in words]))
        if len(marks) != len(words):
            raise ProtocolError(detail="marks for another number of words")
        marks = [mark if mark in END_MARKS + PAUSE_MARKS else "" for mark in marks]
        if len(words) >= _ENOUGH_WORDS and not any(marks[:-1]):
            return by_pauses(words)  # an engine without a punctuation model
        return with_silence(words, marks)


def with_silence(words: Sequence[Word], marks: Sequence[str]) -> list[str]:
    """``marks`` after silence had its say: long pauses turn commas, and very long ones nothing, into full stops."""
    out = list(marks)
    for index, (word, following) in enumerate(itertools.pairwise(words)):
        pause = following.begin_ms - word.end_ms
        stops_here = out[index] in PAUSE_MARKS if out[index] else pause > SILENT_END_MS
        if pause > END_PAUSE_MS and stops_here:
            out[index] = "。"
    return out


def by_pauses(words: Sequence[Word]) -> list[str]:
    """Marks from silence alone: better than a wall of characters."""
    pauses = [following.begin_ms - word.end_ms for word, following in itertools.pairwise(words)]
    return ["。" if pause > 900 else "，" if pause > 350 else "" for pause in pauses] + [""]


def widest_gap(words: Sequence[Word], begin: int, end: int) -> int:
    """Index in ``[begin, end)`` of the word before the longest pause; the last one among equals."""
    return max(range(begin, end), key=lambda i: (words[i + 1].begin_ms - words[i].end_ms, i))
