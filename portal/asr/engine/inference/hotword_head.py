"""SeACo's hotword head: bias embeddings per list, and the scores they change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.nn.utils.rnn import pad_sequence

from portal.asr.engine.hotword_check import digest_of
from portal.asr.engine.inference.hotwords import encode_hotwords

_FILTER: Final = 50
"""Above this many hotwords only the most attended ones of each segment take part, as in FunASR; there the first segment
of a batch chooses for all, here each for itself."""
_CACHED_LISTS: Final = 64


class HotwordHead:
    """Not thread-safe: the model thread alone calls it."""

    def __init__(self, model: Any, seg_dict: Mapping[str, tuple[str, ...]], tokens: list[str], device: str) -> None:
        self._model = model
        self._seg_dict = seg_dict
        self._tokens = tokens
        self._device = device
        self._bias: OrderedDict[str, torch.Tensor] = OrderedDict()

    def forget(self) -> None:
        """Drop the cached embeddings."""
        self._bias.clear()

    def apply(
        self,
        scores: torch.Tensor,
        acoustic: torch.Tensor,
        states: torch.Tensor,
        counts: torch.Tensor,
        hotwords: tuple[str, ...],
        weight: float,
    ) -> torch.Tensor:
        """Change the logarithmic scores (B, N, V) at places where the head names a token.

        ``acoustic`` and ``states`` (B, N, D): the decoder's input and its states; ``counts`` (B,): tokens per item, on
        the host.
        ``weight`` (0..1): how far the head's scores replace the others, FunASR's ``seaco_weight``.
        """
        if weight <= 0.0:
            return scores
        model = self._model
        bias = self._embeddings(hotwords)
        context = bias[None].expand(scores.size(0), -1, -1)
        if bias.size(0) > _FILTER:
            context = self._most_attended(context, states, counts)
        sizes = torch.full((scores.size(0),), context.size(1), dtype=torch.int32)
        attended, _ = model.seaco_decoder(context, sizes, acoustic, counts)
        by_state, _ = model.seaco_decoder(context, sizes, states, counts)
        biased = torch.log_softmax(model.hotword_output_layer(attended + by_state), dim=-1)
        unbiased = (biased.argmax(dim=-1) == model.NO_BIAS)[:, :, None]
        return merged(scores, biased, unbiased, weight)

    def _embeddings(self, hotwords: tuple[str, ...]) -> torch.Tensor:
        """(hotwords + 1, D) states of the bias LSTM, the last one for "none of them"; cached per list."""
        digest = digest_of(hotwords)
        if digest not in self._bias:
            ids = encode_hotwords(hotwords, self._seg_dict, self._tokens)
            ids.append([self._model.sos])
            padded = pad_sequence([torch.as_tensor(item) for item in ids], batch_first=True).to(self._device)
            lengths = torch.as_tensor([len(item) for item in ids], dtype=torch.int32)
            self._bias[digest] = self._model._hotword_representation(padded, lengths)
            while len(self._bias) > _CACHED_LISTS:
                self._bias.popitem(last=False)
        self._bias.move_to_end(digest)
        return self._bias[digest]

    def _most_attended(self, context: torch.Tensor, states: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(B, hotwords + 1, D) to (B, 51, D): for each item the hotwords its own places attend to most."""
        sizes = torch.full((context.size(0),), context.size(1), dtype=torch.int32)
        attention = self._model.seaco_decoder.forward_asf6(context, sizes, states, counts)
        places = torch.arange(attention.size(2), device=self._device)[None, :] < counts.to(self._device)[:, None]
        totals = (attention * places[:, None, :, None]).sum(dim=(1, 2))
        kept = min(_FILTER, context.size(1) - 1)
        chosen = torch.topk(totals, kept, dim=1).indices
        none = torch.full((context.size(0), 1), context.size(1) - 1, device=self._device)
        index = torch.cat([chosen, none], dim=1)[:, :, None].expand(-1, -1, context.size(2))
        return torch.gather(context, 1, index)


def merged(scores: torch.Tensor, biased: torch.Tensor, unbiased: torch.Tensor, weight: float) -> torch.Tensor:
    """The head's scores where it names a token, ``scores`` where not; with a weight below 1 a mixture, as in FunASR."""
    if weight >= 1.0:
        return torch.where(unbiased, scores, biased)
    part = torch.tensor(weight, dtype=scores.dtype, device=scores.device)
    kept = (unbiased.to(scores.dtype) + (1 - part) / part) / (1 / part)
    return scores * kept + biased * (1 - kept)
