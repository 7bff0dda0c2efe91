"""CT-Transformer: the mark after each word, for several texts in step.

As in FunASR a text is read twenty units at a time, and what follows the last full stop is read again with the next
twenty; here every text that waits takes its step in the same forward pass, with one transfer to the host.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn.utils.rnn import pad_sequence

from portal.asr.engine.inference.encoders import Encoder
from portal.asr.engine.inference.loading import Loaded

_STEP: Final = 20
_LONGEST: Final = 200
_STOPS: Final = ("。", "？")
_LATIN: Final = re.compile(r"^[a-zA-Z']+$")
Cutter = Callable[[str], Sequence[str]]


def units_of(words: Sequence[str], cutter: Cutter | None) -> list[tuple[str, int]]:
    """The model's units with the index of the word each ends in: characters and Latin runs, or dictionary words."""
    atoms = [(text, index) for index, word in enumerate(words) for text in _atoms(word)]
    if cutter is None:
        return atoms
    units: list[tuple[str, int]] = []
    held: list[tuple[str, int]] = []
    for text, index in atoms:
        if _LATIN.match(text):
            units += _cut(held, cutter)
            held = []
            units.append((text, index))
        else:
            held.append((text, index))
    return units + _cut(held, cutter)


def _atoms(word: str) -> list[str]:
    return re.findall(r"[\x21-\x7e]+|[^\x00-\x20]", word)


def _cut(atoms: Sequence[tuple[str, int]], cutter: Cutter) -> list[tuple[str, int]]:
    owners = [index for text, index in atoms for _ in text]
    units: list[tuple[str, int]] = []
    position = 0
    for piece in cutter("".join(text for text, _ in atoms)) if atoms else ():
        position += len(piece)
        units.append((piece, owners[position - 1]))
    return units


class PunctuationJob:
    """One text on its way; ``marks`` holds '' or a mark per word once ``done``."""

    def __init__(self, words: Sequence[str], units: Sequence[tuple[str, int]], ids: Sequence[int]) -> None:
        self.marks = [""] * len(words)
        self.done = not units
        self._units = units
        self._ids = ids
        self._begin = 0
        self._end = min(_STEP, len(units))

    def window(self) -> list[int]:
        """Token numbers of the piece to read now."""
        return list(self._ids[self._begin : self._end])

    def take(self, marks: Sequence[str]) -> None:
        """Accept the marks of the piece and move on."""
        if self._end == len(self._units):
            self._keep(marks)
            self._close()
            return
        stop, comma = -1, -1
        for place in range(len(marks) - 2, 1, -1):
            if marks[place] in _STOPS:
                stop = place
                break
            if comma < 0 and marks[place] == "，":
                comma = place
        accepted = list(marks)
        if stop < 0 and len(marks) > _LONGEST and comma >= 0:
            stop = comma
            accepted[stop] = "。"
        self._keep(accepted[: stop + 1])
        self._begin += stop + 1
        self._end = min(self._end + _STEP, len(self._units))

    def _keep(self, marks: Sequence[str]) -> None:
        for place, mark in enumerate(marks, start=self._begin):
            self.marks[self._units[place][1]] = mark

    def _close(self) -> None:
        """A text ends with a full stop or a question mark."""
        last = self._units[-1][1]
        if self.marks[last] not in _STOPS:
            self.marks[last] = "。"
        self.done = True


class Punctuator:
    """Owns the punctuation model; the model thread alone calls it."""

    def __init__(self, loaded: Loaded, device: str, encoder: Encoder | None = None) -> None:
        """``encoder``: computes the model's encoder in its place; it takes rows of the model's embedding."""
        self._model = loaded.model
        self._device = device
        self._encoder = encoder
        self._marks = ["" if mark in ("_", "<unk>") else mark for mark in loaded.model.punc_list]
        self._numbers = {token: number for number, token in enumerate(loaded.tokens)}
        self._unknown = self._numbers["<unk>"]
        self._cutter = (
            _dictionary_cutter(loaded.directory / "jieba_usr_dict") if _reads_words(loaded.directory) else None
        )

    def begin(self, words: Sequence[str]) -> PunctuationJob:
        """Prepare a text."""
        units = units_of(words, self._cutter)
        return PunctuationJob(words, units, [self._numbers.get(text, self._unknown) for text, _ in units])

    @torch.inference_mode()
    def step(self, jobs: Sequence[PunctuationJob]) -> None:
        """One forward pass over the next piece of every job."""
        pieces = [job.window() for job in jobs]
        best = self.scores(pieces).argmax(dim=-1).cpu().tolist()
        for job, row, piece in zip(jobs, best, pieces, strict=True):
            job.take([self._marks[mark] for mark in row[: len(piece)]])

    @torch.inference_mode()
    def scores(self, pieces: Sequence[Sequence[int]]) -> torch.Tensor:
        """Token numbers of B pieces to fp32 (B, longest, marks) before the softmax; rows after a piece's own mean
        nothing."""
        tokens = [torch.as_tensor(piece) for piece in pieces]
        if self._encoder is not None:
            embedded = [self._model.embed(row).numpy() for row in tokens]
            decoded: torch.Tensor = self._model.decoder(self._encoder(embedded))
            return decoded
        # lengths stay on the host: FunASR's masks ask for them one by one
        lengths = [len(piece) for piece in pieces]
        batch = pad_sequence(tokens, batch_first=True)
        scores: torch.Tensor = self._model.punc_forward(batch.to(self._device), lengths)[0]
        return scores


def _reads_words(directory: Path) -> bool:
    """Whether the model was trained on dictionary words: its configuration.json then names the dictionary."""
    path = directory / "configuration.json"
    if not (path.exists() and (directory / "jieba_usr_dict").exists()):
        return False
    named = json.loads(path.read_text(encoding="utf-8")).get("file_path_metas") or {}
    return "jieba_usr_dict" in named


def _dictionary_cutter(path: Path) -> Cutter:
    """Word cutting by the model's dictionary, with the cache file in a private folder instead of a shared one."""
    jieba: Any = importlib.import_module("jieba")
    logging.getLogger("jieba").setLevel(logging.ERROR)
    tokenizer: Any = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as private:
        tokenizer.tmp_dir = private
        tokenizer.initialize()
    with path.open("rb") as lines:
        tokenizer.load_userdict(lines)
    return lambda text: tokenizer.lcut(text, HMM=False)
