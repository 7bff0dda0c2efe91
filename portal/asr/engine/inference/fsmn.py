"""The FSMN voice-activity network over several recordings at once: one forward pass, one copy to the host.

The recordings' frames lie one after another, so nothing is padded; only the memory blocks look at neighbouring frames,
and there each recording's frames follow its own past.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from portal.asr.errors import ModelError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Past = tuple[torch.Tensor, ...]
"""Per memory block the last frames (D, frames) of one recording, on the device."""


class FsmnScorer:
    """Silence probabilities per frame. Not thread-safe: the model thread alone calls it."""

    def __init__(self, encoder: Any, silence_ids: Sequence[int], device: str) -> None:
        """``silence_ids``: outputs of ``encoder`` that stand for silence. Raises ModelError for other networks."""
        self._encoder = encoder
        self._device = device
        self._ids = torch.as_tensor(list(silence_ids), device=device)
        self._blocks = list(encoder.fsmn)
        if any(block.rorder for block in self._blocks):
            raise ModelError("MODEL_FAMILY_REFUSED", "the voice-activity model looks ahead in its memory", family="vad")
        self._start: Past = tuple(
            torch.zeros(block.fsmn_block.dim, (block.lorder - 1) * block.lstride, device=device)
            for block in self._blocks
        )

    @property
    def start(self) -> Past:
        """The past of a recording that begins."""
        return self._start

    @torch.inference_mode()
    def __call__(self, features: Sequence[Floats], pasts: Sequence[Past]) -> tuple[list[Doubles], list[Past]]:
        """``features``: (T_i, D) of each recording, T_i > 0. Returns the silence probability of every frame (T_i,) and
        the new pasts. Changes nothing."""
        counts = [len(item) for item in features]
        joined = features[0] if len(features) == 1 else np.concatenate(features)
        encoder = self._encoder
        hidden = encoder.relu(encoder.in_linear2(encoder.in_linear1(torch.from_numpy(joined).to(self._device))))
        histories: list[Past] = []
        for number, block in enumerate(self._blocks):
            hidden, history = _block(block, hidden, counts, [past[number] for past in pasts])
            histories.append(history)
        scores = encoder.out_linear2(encoder.out_linear1(hidden))
        if encoder.use_softmax:
            scores = torch.softmax(scores, dim=-1)
        silence = _sum(scores.index_select(1, self._ids).cpu().numpy())
        ends = list(accumulate(counts))
        return [silence[end - count : end] for end, count in zip(ends, counts, strict=True)], list(
            zip(*histories, strict=True)
        )


def _block(
    block: Any, hidden: torch.Tensor, counts: Sequence[int], pasts: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, Past]:
    """One memory block over (sum of counts, D): each recording's frames are preceded by their own past."""
    own = block.linear(hidden).t()
    context = pasts[0].size(1)
    pieces = own.split(list(counts), dim=1)
    line = torch.cat([part for pair in zip(pasts, pieces, strict=True) for part in pair], dim=1)
    remembered = block.fsmn_block.conv_left(line[None, :, :, None])[0, :, :, 0]
    ends = list(accumulate(count + context for count in counts))
    spans = [(end - count - context, count) for end, count in zip(ends, counts, strict=True)]
    memory = [remembered[:, begin : begin + count] for begin, count in spans]
    out = block.relu(block.affine((own + (memory[0] if len(memory) == 1 else torch.cat(memory, dim=1))).t()))
    return out, tuple(line[:, end - context : end].clone() for end in ends)


def _sum(probabilities: Floats) -> Doubles:
    """(T, ids) to (T,), one after another in double precision as FunASR adds them."""
    total = probabilities[:, 0].astype(np.float64)
    for column in range(1, probabilities.shape[1]):
        total += probabilities[:, column]
    return total
