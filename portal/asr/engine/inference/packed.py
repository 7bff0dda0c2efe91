"""The SANM encoder over several segments that lie one after another: matrix products without any padding.

Only attention and the memory block look at other frames; they run segment by segment, or over gaps of zeros between the
segments. What comes out for a segment is what it gives alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from portal.asr.errors import ModelError

Floats = npt.NDArray[np.float32]


class TorchPackedEncoder:
    """See ``encoders.Encoder``. For the CPU, where every padded frame costs as much as a real one."""

    def __init__(self, encoder: Any) -> None:
        """``encoder``: FunASR's SANMEncoder. Raises ModelError(MODEL_FAMILY_REFUSED) for layers of another kind."""
        self._encoder = encoder
        if not covers(encoder):
            raise ModelError("MODEL_FAMILY_REFUSED", "the encoder's layers are not known here", family="encoder")
        self._layers = [_Layer(layer) for layer in [*encoder.encoders0, *encoder.encoders]]
        self._scale = np.float32(encoder.output_size() ** 0.5)
        self._positions = torch.zeros(0, 0)

    @torch.inference_mode()
    def __call__(self, features: Sequence[Floats]) -> torch.Tensor:
        """See ``encoders.Encoder``."""
        counts = [len(item) for item in features]
        hidden = torch.cat([self._embedded(item) for item in features])
        edges = [0, *np.cumsum(counts).tolist()]
        for layer in self._layers:
            hidden = layer(hidden, edges)
        hidden = self._encoder.after_norm(hidden)
        return pad_sequence(list(hidden.split(counts)), batch_first=True)

    def _embedded(self, features: Floats) -> torch.Tensor:
        """Scaled, with FunASR's own positions added."""
        frames, size = features.shape
        if len(self._positions) < frames:
            numbers = torch.arange(1, max(frames, 1_000) + 1)[None, :]
            self._positions = self._encoder.embed.encode(numbers, size, torch.float32)[0]
        return torch.from_numpy(features * self._scale) + self._positions[:frames]


class _Layer:
    """One EncoderLayerSANM over (frames, D)."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        attention = layer.self_attn
        self._heads = attention.h
        self._residual = layer.in_size == layer.size
        # taps first: a frame's memory is a weighted sum of its neighbours, and the frame itself
        self._taps = attention.fsmn_block.weight[:, 0, :].t().contiguous()
        self._left = attention.pad_fn.padding[0]
        self._right = attention.pad_fn.padding[1]

    def __call__(self, hidden: torch.Tensor, edges: Sequence[int]) -> torch.Tensor:
        layer, attention = self._layer, self._layer.self_attn
        query, key, value = attention.linear_q_k_v(layer.norm1(hidden)).chunk(3, dim=-1)
        mixed: torch.Tensor = attention.linear_out(self._attended(query, key, value, edges))
        mixed += self._memory(value, edges)
        if self._residual:
            mixed += hidden
        forward = layer.feed_forward
        inner = functional.relu_(forward.w_1(layer.norm2(mixed)))
        mixed += forward.w_2(inner)
        return mixed

    def _attended(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, edges: Sequence[int]
    ) -> torch.Tensor:
        by_head = [part.view(len(part), self._heads, -1).transpose(0, 1)[None] for part in (query, key, value)]
        parts: list[torch.Tensor] = []
        for begin, end in pairwise(edges):
            own = [part[:, :, begin:end] for part in by_head]
            attended = functional.scaled_dot_product_attention(own[0], own[1], own[2])
            parts.append(attended[0].transpose(0, 1).reshape(end - begin, -1))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _memory(self, value: torch.Tensor, edges: Sequence[int]) -> torch.Tensor:
        """The FSMN memory: a depthwise convolution in time that never reaches into a neighbouring segment."""
        memory = value.clone()
        for begin, end in pairwise(edges):
            own, count = value[begin:end], end - begin
            for tap, weight in enumerate(self._taps):
                shift = tap - self._left
                low, high = max(0, -shift), min(count, count - shift)
                if low < high:
                    memory[begin + low : begin + high].addcmul_(own[low + shift : high + shift], weight)
        return memory


def covers(encoder: Any) -> bool:
    """Whether ``encoder`` is built as all SANM encoders of Paraformer models are."""
    layers = [*encoder.encoders0, *encoder.encoders]
    return (
        type(encoder).__name__ == "SANMEncoder"
        and type(encoder.embed).__name__ == "SinusoidalPositionEncoder"
        and encoder.normalize_before
        and not encoder.interctc_layer_idx
        and all(
            type(layer.self_attn).__name__ == "MultiHeadedAttentionSANM"
            and type(layer.feed_forward).__name__ == "PositionwiseFeedForward"
            and isinstance(layer.feed_forward.activation, torch.nn.ReLU)
            and layer.normalize_before
            and not layer.concat_after
            and type(layer.self_attn.linear_q_k_v) is torch.nn.Linear
            and type(layer.self_attn.linear_out) is torch.nn.Linear
            for layer in layers
        )
    )
