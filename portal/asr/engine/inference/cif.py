"""Continuous integrate-and-fire: from encoder frames to the acoustic embedding of each token.

FunASR walks the frames in Python on the device, thousands of launches per batch. Here the weights of all frames come to
the host in one copy, the walk goes over plain numbers, and one matrix product makes every token of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from portal.asr.engine.timing import fire_weights

Floats = npt.NDArray[np.float32]


class Cif:
    """The token predictor of a Paraformer (CifPredictorV2 or V3)."""

    def __init__(self, predictor: Any, *, together: bool = True) -> None:
        """``together``: a batch in few launches and one copy, as a GPU needs it; otherwise segment by segment, so that
        on a CPU not even a last bit depends on the batch: integer arithmetic would enlarge it."""
        self._predictor = predictor
        self._together = together

    def fire(self, hidden: torch.Tensor, lengths: Sequence[int]) -> list[Floats | None]:
        """``hidden`` (B, T, D), zero after ``lengths`` (B,). Per item the weights (tokens, frames) of its tokens; None
        where the model gave no numbers. One copy to the host."""
        if not self._together:
            alone = (self._alphas(hidden[row : row + 1, :length])[0] for row, length in enumerate(lengths))
            return [self._tokens(alphas) for alphas in alone]
        on_host = self._alphas(hidden)
        return [self._tokens(on_host[row, :length]) for row, length in enumerate(lengths)]

    def _alphas(self, hidden: torch.Tensor) -> Floats:
        """(B, T, D) to the weights (B, T) of frames, on the host."""
        predictor = self._predictor
        context = torch.relu(predictor.cif_conv1d(predictor.pad(hidden.transpose(1, 2))))
        alphas = torch.sigmoid(predictor.cif_output(context.transpose(1, 2)))
        alphas = torch.relu(alphas * predictor.smooth_factor - predictor.noise_threshold).squeeze(-1)
        on_host: Floats = alphas.float().cpu().numpy()
        return on_host

    def embed(self, hidden: torch.Tensor, tokens: Sequence[Floats]) -> torch.Tensor:
        """Acoustic embeddings (B, max tokens, D) of tokens with these weights."""
        if not self._together:
            alone = [torch.from_numpy(item) @ hidden[row, : item.shape[1]] for row, item in enumerate(tokens)]
            return pad_sequence(alone, batch_first=True)
        padded = np.zeros((len(tokens), max(map(len, tokens)), hidden.size(1)), dtype=np.float32)
        for row, weights in enumerate(tokens):
            padded[row, : weights.shape[0], : weights.shape[1]] = weights
        return torch.bmm(torch.from_numpy(padded).to(hidden.device), hidden)

    def _tokens(self, alphas: Floats) -> Floats | None:
        if not np.isfinite(alphas).all():
            return None
        frames, own = len(alphas), alphas
        if self._predictor.tail_threshold > 0.0:
            own = np.append(own, np.float32(self._predictor.tail_threshold)).astype(np.float32)
        # torch adds in another order than numpy; where the sum is almost a whole number that decides
        count = math.floor(float(torch.from_numpy(own).sum()))
        # the tail lies on a frame of zeros: it can complete a token, and adds nothing to it
        fired = fire_weights(own, self._predictor.threshold)[:count, :frames]
        missing = np.zeros((count - len(fired), frames), dtype=np.float32)
        return np.concatenate([fired, missing])
