"""Training examples for hotwords: an own list for each utterance and labels written the way the list asks.

A hotword is a stretch of the utterance, respelled with random homophones; wherever its SOUND occurs the label is
the hotword's spelling, elsewhere "no hotword". Lists also hold near misses and other people's hotwords. The one
shared list per batch of the published recipe taught nothing here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from . import text, vocabulary
from .corpus import Utterance
from .held_out import HOTWORDS
from .homophones import members, sound_classes

START = 1  # <s>: FunASR puts it at the end of every list and it means "none of these"
LONGEST = 8  # characters of a hotword


@dataclass
class HotwordBatch:
    """`pool` (P, L) hotwords padded with 0 and `pool_lengths` (P); `lists` (B, K) indices into the pool padded
    with the last one, `list_lengths` (B); `labels` (B, N) padded with -1. All on the CPU."""

    chosen: list[int]
    pool: Tensor
    pool_lengths: Tensor
    lists: Tensor
    list_lengths: Tensor
    labels: Tensor


class HotwordSampler:
    """Makes the batch of any step from the step's number alone."""

    def __init__(self, utterances: list[Utterance], seed: int, steps: int, size: int) -> None:
        self.seed, self.steps, self.size = seed, steps, size
        self.tokens = [u.tokens.tolist() for u in utterances]
        self.vocabulary = text.vocabulary()
        self.classes = sound_classes(self.vocabulary)
        self.members = members(self.classes)
        self.no_bias = self.vocabulary.index("<nobias>")
        # Strings, because looking for a stretch is str.find: one private character per sound.
        self.sounds = ["".join(chr(0x4000 + self.classes[t]) for t in row) for row in self.tokens]
        self.by_length = sorted(range(len(self.tokens)), key=lambda i: len(self.tokens[i]))
        self.forbidden = {"".join(chr(t) for t in self._ids(word)) for word in HOTWORDS}
        self.names = [self._name_spans(u.text, row) for u, row in zip(utterances, self.tokens, strict=True)]

    def _ids(self, word: str) -> list[int]:
        return [self.vocabulary.index(c) for c in word]

    def _name_spans(self, spoken: str, row: list[int]) -> list[tuple[int, int]]:
        """Places (start, length) of people's and products' names: what hotword lists are made of."""
        plain = "".join(self.vocabulary[t] for t in row)
        spans = [(plain.find(b), len(b)) for b in (*vocabulary.BRANDS, *vocabulary.PRODUCTS) if b in plain]
        given = {g[0] for g in vocabulary.GIVEN_NAMES}
        for at in range(len(plain) - 1):
            if plain[at] in vocabulary.SURNAMES and plain[at + 1] in given:
                spans.append((at, 3 if at + 2 < len(plain) and plain[at + 2] in given else 2))
        del spoken
        return spans

    def _respelled(self, rng: random.Random, word: list[int], share: float) -> list[int]:
        """`word` with each character replaced by a random homophone with probability `share`; never held out."""
        while True:
            out = [rng.choice(self.members[self.classes[t]]) if rng.random() < share else t for t in word]
            plain = "".join(chr(t) for t in out)
            if not any(bad in plain for bad in self.forbidden):
                return out
            share = max(share, 0.5)

    def _stretch(self, rng: random.Random, index: int, lengths: list[int]) -> list[int]:
        row: list[int] = self.tokens[index]
        count = min(rng.choice(lengths), len(row))
        at = rng.randint(0, len(row) - count)
        if self.names[index] and rng.random() < 0.35:
            at, count = rng.choice(self.names[index])
        return row[at : at + count][:LONGEST]

    def _key(self, word: list[int]) -> str:
        return "".join(chr(0x4000 + self.classes[t]) for t in word)

    def _own(self, rng: random.Random, index: int, late: bool) -> list[list[int]]:
        """Hotwords that belong to one utterance: a stretch of it and near misses of that."""
        if rng.random() > 0.8:
            return []
        lengths = [2, 2, 2, 3, 3, 3, 4, 4, 5, 6] if late else [2, 3, 3, 4]
        word = self._respelled(rng, self._stretch(rng, index, lengths), rng.choice([0.0, 0.5, 1.0, 1.0]))
        found = [word]
        if late:
            while len(found) < 4 and rng.random() < 0.4:
                miss = list(word)
                miss[rng.randrange(len(miss))] = rng.randrange(3, self.no_bias)
                found.append(self._respelled(rng, miss, 0.3))
        return found

    def batch(self, step: int) -> HotwordBatch:
        """The batch of one step."""
        rng = random.Random(f"{self.seed}/hotwords/{step}")
        done = step / self.steps
        # Utterances of similar length: padding would cost more than the work itself.
        first = rng.randrange(max(1, len(self.tokens) - 4 * self.size))
        nearby = self.by_length[first : first + 4 * self.size]
        chosen = rng.sample(nearby, min(self.size, len(nearby)))
        pool: list[list[int]] = []
        own: list[list[int]] = []
        for index in chosen:
            mine = self._own(rng, index, done > 0.15)
            own.append(list(range(len(pool), len(pool) + len(mine))))
            pool += mine
        for _ in range(12):  # hotwords of nobody in this batch
            other = self._stretch(rng, rng.randrange(len(self.tokens)), [2, 3, 4])
            pool.append(self._respelled(rng, other, rng.choice([0.0, 1.0])))
        pool = [w if len(w) > 1 else [*w, rng.randrange(3, self.no_bias)] for w in pool]
        pool.append([START])
        most = rng.choice([1, 2, 4] if done < 0.25 else [1, 2, 4, 9, 9, 16, 30, 48])
        lists, labels = [], []
        for place, index in enumerate(chosen):
            row, label = self._list_and_label(rng, index, own[place], pool, most)
            lists.append(torch.tensor([*row, len(pool) - 1]))
            labels.append(torch.tensor(label))
        pad = torch.nn.utils.rnn.pad_sequence
        return HotwordBatch(
            chosen,
            pad([torch.tensor(w) for w in pool], True, 0),
            torch.tensor([len(w) for w in pool]),
            pad(lists, True, len(pool) - 1),
            torch.tensor([len(row) for row in lists]),
            pad(labels, True, -1),
        )

    def _list_and_label(
        self, rng: random.Random, index: int, own: list[int], pool: list[list[int]], most: int
    ) -> tuple[list[int], list[int]]:
        others = [i for i in rng.sample(range(len(pool) - 1), min(most, len(pool) - 1)) if i not in own]
        kept: list[int] = []
        keys: list[str] = []
        label = [self.no_bias] * len(self.tokens[index])
        for number in own + others:
            key = self._key(pool[number])
            if any(key in other or other in key for other in keys):
                continue  # two hotwords that sound alike would contradict each other
            keys.append(key)
            kept.append(number)
            at = self.sounds[index].find(key)
            while at >= 0:
                label[at : at + len(key)] = pool[number]
                at = self.sounds[index].find(key, at + 1)
        rng.shuffle(kept)
        return kept, label
