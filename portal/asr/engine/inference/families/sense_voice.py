"""SenseVoice-Small: several languages, its own punctuation and numbers, emotion and sounds, word times from its CTC.

FunASR's classes do the computing; its ``inference`` is not called, because it moves every segment to the host apart
and aligns the text again a frame at a time. The best path through a CTC output is its own alignment.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import sentencepiece
import torch
from torch.nn.utils.rnn import pad_sequence

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.inference.features import FrontendSettings
from portal.asr.engine.inference.loading import build, import_funasr, load_weights, ready
from portal.asr.engine.layouts import SENSE_VOICE_PIECES
from portal.asr.engine.manifest import read_config
from portal.asr.engine.rich_tags import LANGUAGES, TAG, Tags
from portal.asr.engine.written import words_and_marks
from portal.asr.errors import ModelError
from portal.asr.types import Word

Floats = npt.NDArray[np.float32]

_MODULES: Final = ("funasr.models.sense_voice.model",)
_QUERIES: Final = 4
"""Frames before the sound's: language, event, emotion and writing style are asked there and answered there."""
_FRAME_MS: Final = 60
_SHIFT_MS: Final = 30
"""FunASR's correction: a token peaks half a frame after it is said."""
_ROWS: Final = 4_096
"""Frames whose scores (25 055 each) are held at a time: 0.4 GB instead of several."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A token of the best path: its number, the frames ``[begin, end)`` from the first query on, its probability."""

    token: int
    begin: int
    end: int
    confidence: float


class SenseVoice:
    """See ``building.Family``."""

    capabilities = frozenset({"word_times", "own_punctuation", "language_choice", "model_itn", "emotion", "events"})
    languages = LANGUAGES

    def __init__(self, model: Any, pieces: Any, frontend: FrontendSettings, device: str) -> None:
        """``model``: FunASR's; ``pieces``: its SentencePiece processor."""
        self._model = model
        self._pieces = pieces
        self._device = device
        self.frontend = frontend

    @classmethod
    def open(cls, directory: Path, device: str) -> SenseVoice:
        """Load a checked directory. Raises ModelError."""
        tables = import_funasr(_MODULES)
        config = read_config(directory)
        pieces = _read_pieces(directory / SENSE_VOICE_PIECES)
        frontend = FrontendSettings.load(config.get("frontend_conf") or {}, directory / "am.mvn")
        arguments = {
            **(config.get("model_conf") or {}),
            "encoder": config.get("encoder"),
            "encoder_conf": config.get("encoder_conf") or {},
            "ctc_conf": config.get("ctc_conf") or {},
            "input_size": frontend.lfr_m * 80,
            "vocab_size": pieces.get_piece_size(),
        }
        model = build(tables, "SenseVoiceSmall", arguments)
        load_weights(model, directory / "model.pt", optional=("criterion_att",))
        return cls(ready(model, device), pieces, frontend, device)

    def forget_hotwords(self) -> None:
        """It takes none."""

    @torch.inference_mode()
    def recognise(self, segments: Sequence[Floats], options: BatchOptions) -> list[Recognised | None]:
        """See ``building.Family``. A language outside the list counts as ``auto``."""
        results: list[Recognised | None] = [Recognised(())] * len(segments)
        filled = [index for index, frames in enumerate(segments) if len(frames)]
        if not filled:
            return results
        hidden, lengths = self._encode([self.frontend.join(segments[index]) for index in filled], options)
        best, tokens = self._best(hidden)
        for row, index in enumerate(filled):
            length = lengths[row]
            results[index] = None
            if np.isfinite(best[row, :length]).all():
                runs = self._runs(tokens[row, :length], best[row, :length])
                results[index] = self._write(runs, length - _QUERIES, written=options.itn)
        return results

    def _encode(self, features: Sequence[Floats], options: BatchOptions) -> tuple[torch.Tensor, list[int]]:
        """Encoder output (B, T + 4, D) and the valid frames of each item, queries included."""
        model = self._model
        lengths = torch.as_tensor([len(item) for item in features], device=self._device)
        batch = pad_sequence([torch.from_numpy(item) for item in features], batch_first=True).to(self._device)
        language = model.lid_dict[options.language] if options.language in LANGUAGES else model.lid_dict["auto"]
        style = model.textnorm_dict["withitn" if options.itn else "woitn"]
        asked = model.embed(torch.as_tensor([[language, 1, 2, style]], device=self._device))
        batch = torch.cat([asked.expand(len(features), -1, -1), batch], dim=1)
        hidden, _ = model.encoder(batch, lengths + _QUERIES)
        return hidden, [len(item) + _QUERIES for item in features]

    def _best(self, hidden: torch.Tensor) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Per frame (B, T + 4) the log-probability of the best token, and the token; one transfer to the host each."""
        rows = hidden.flatten(0, 1)
        pairs = [self._model.ctc.log_softmax(part[None])[0].max(dim=-1) for part in torch.split(rows, _ROWS)]
        best = torch.cat([values for values, _ in pairs]).view(hidden.shape[:2])
        tokens = torch.cat([ids for _, ids in pairs]).view(hidden.shape[:2])
        return best.float().cpu().numpy(), tokens.cpu().numpy()

    def _runs(self, tokens: npt.NDArray[np.int64], best: Floats) -> list[_Run]:
        """Equal neighbours are one token; blanks are none."""
        edges = [0, *(np.flatnonzero(np.diff(tokens)) + 1).tolist(), len(tokens)]
        return [
            _Run(int(tokens[begin]), begin, end, round(float(np.exp(best[begin:end].max())), 4))
            for begin, end in itertools.pairwise(edges)
            if int(tokens[begin]) != self._model.blank_id
        ]

    def _write(self, runs: Sequence[_Run], frames: int, *, written: bool) -> Recognised:
        """``frames`` of sound; ``written``: the model was asked for marks and numbers."""
        tags: list[str] = []
        characters: list[Word] = []
        for run in runs:
            piece = self._pieces.id_to_piece(run.token)
            if TAG.fullmatch(piece):
                tags.append(piece)
            elif not (self._pieces.is_control(run.token) or self._pieces.is_unknown(run.token)):
                characters += _characters(piece, run, frames)
        words, marks = words_and_marks(characters)
        said = Tags.of(tags)
        # without marks from the model the punctuation model is asked
        own = marks if written or any(marks) else None
        return Recognised(words, own, said.language, said.emotion, said.events)


def _characters(piece: str, run: _Run, frames: int) -> list[Word]:
    """The characters of a piece with its time divided among them; ``▁`` is a space."""
    begin = max((run.begin - _QUERIES) * _FRAME_MS - _SHIFT_MS, 0)
    end = max(min((run.end - _QUERIES) * _FRAME_MS, frames * _FRAME_MS) - _SHIFT_MS, begin)
    text = piece.replace("\u2581", " ")
    spoken = max(1, sum(not character.isspace() for character in text))
    edges = [begin + (end - begin) * place // spoken for place in range(spoken + 1)]
    place = 0
    characters = []
    for character in text:
        following = place + (not character.isspace())
        characters.append(Word(character, edges[place], edges[following], run.confidence))
        place = following
    return characters


def _read_pieces(path: Path) -> Any:
    """The SentencePiece model, which is data. Raises ModelError(MODEL_ALTERED)."""
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ModelError("MODEL_ALTERED", f"{path.name} is no SentencePiece model", file=path.name) from error
