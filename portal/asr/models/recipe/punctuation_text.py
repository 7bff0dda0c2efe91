"""Examples for the punctuation model as FunASR's inference meets them.

FunASR feeds the unfinished sentence plus the next twenty words and believes no mark on the last word unless the text
ends there. So an example starts where a sentence starts and mostly stops anywhere; then its last word is not trained.
Some words are wrong, as a recogniser's would be.
"""

from __future__ import annotations

import random
import re

from . import text, vocabulary
from .clauses import Clauses
from .grammar import TEMPLATES
from .held_out import is_held_out
from .networks import PUNCTUATION_MARKS
from .settings import Settings

IGNORED = 0  # the model's ignore_id
LONGEST = 72  # words of a window
_WORD = re.compile(r"[a-zA-Z]+|.")
Example = tuple[list[int], list[int]]


def tokens_of_model() -> list[str]:
    """Hanzi, the known abbreviations in capitals (as FunASR joins letters) and single letters."""
    known = sorted({a.upper() for a in vocabulary.ABBREVIATIONS} | set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return ["<blank>", "<s>", "</s>", *text.characters(), *known, "<unk>"]


class PunctuationText:
    """Sentences made once, examples made of them by number."""

    def __init__(self, settings: Settings) -> None:
        self.seed = settings.seed
        self.ids = {token: index for index, token in enumerate(tokens_of_model())}
        self.unknown = self.ids["<unk>"]
        rng = random.Random(f"{settings.seed}/punctuation")
        self.sentences = [self._encode(text.template_sentence(rng)) for _ in range(settings.punctuation_sentences)]
        free = Clauses(text.SLOTS)
        made = (free.sentence(rng) for _ in range(settings.punctuation_sentences))
        self.free = [self._encode(sentence) for sentence in made if not is_held_out(sentence)]
        # Patterns are many and long; short sentences need their share.
        short = [t for t in TEMPLATES if len("".join(t)) < 9]
        self.sentences += [
            self._encode(text.fill(rng, rng.choice(short))) for _ in range(settings.punctuation_sentences // 15)
        ]

    def _encode(self, sentence: str) -> Example:
        words: list[int] = []
        marks: list[int] = []
        for word in _WORD.findall(sentence):
            if word in PUNCTUATION_MARKS:
                marks[-1] = PUNCTUATION_MARKS.index(word)
            else:
                words.append(self.ids.get(word.upper() if word.isascii() else word, self.unknown))
                marks.append(1)
        return words, marks

    def example(self, rng: random.Random, free: float) -> Example:
        """Word ids and mark ids of one window; `free`: share of sentences that follow no template."""
        words: list[int] = []
        marks: list[int] = []
        for _ in range(rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6))):
            more = rng.choice(self.free if rng.random() < free else self.sentences)
            words = words + more[0]
            marks = marks + more[1]
        if rng.random() < 0.55 or len(words) > LONGEST:
            length = min(rng.randint(2, len(words)), LONGEST)
            cut = length < len(words)
            words, marks = words[:length], marks[:length]
            if cut:
                marks[-1] = IGNORED
        if rng.random() < 0.3:
            self._spoil(rng, words, marks)
        return words, marks

    def _spoil(self, rng: random.Random, words: list[int], marks: list[int]) -> None:
        """Recognition errors: a few per cent of wrong, missing and added words."""
        index = 0
        while index < len(words):
            r = rng.random()
            if r < 0.025:
                words[index] = rng.randrange(3, self.unknown + 1)
            elif r < 0.032 and marks[index] == 1 and len(words) > 2:
                del words[index], marks[index]
                continue
            elif r < 0.037:
                words.insert(index, rng.randrange(3, self.unknown + 1))
                marks.insert(index, 1)
                index += 1
            index += 1

    def batch(self, stage: str, step: int, size: int, free: float) -> list[Example]:
        """The examples of one step."""
        rng = random.Random(f"{self.seed}/{stage}/{step}")
        return [self.example(rng, free) for _ in range(size)]
