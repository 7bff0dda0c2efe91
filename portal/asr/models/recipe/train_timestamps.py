"""Stage 2: the timestamp head of CifPredictorV3 on the onsets that espeak reported; everything else is frozen."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor

from . import losses
from .cached import Cache
from .loop import linear_rate, run
from .settings import Settings

_FINE_FRAME = 0.02  # s, three per stacked frame
_FIRE_DELAY = 0.04  # s: FunASR moves the fires 1.5 fine frames (30 ms) forward, and a fire ends its frame
_LAST_TOKEN = 0.28  # s that the last token is taken to last


def train(model: Any, cache: Cache, folder: Path, device: torch.device, settings: Settings) -> None:
    """Train the head in place."""
    head = model.predictor
    parts = [head.upsample_cnn, head.blstm, head.cif_output2]
    for parameter in model.parameters():
        parameter.requires_grad = False
    for part in parts:
        part.train()  # cuDNN's LSTM has no backward pass in evaluation mode
        for parameter in part.parameters():
            parameter.requires_grad = True
    pad = torch.nn.utils.rnn.pad_sequence

    def loss_of(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = random.Random(f"{settings.seed}/times/{step}").sample(range(len(cache.utterances)), 32)
        hidden, lengths = cache.encoded.rows(chosen)
        fine, _ = head.blstm(head.upsample_cnn(hidden.transpose(1, 2)).transpose(1, 2))
        weights = torch.sigmoid(head.cif_output2(fine)).squeeze(-1)
        weights = torch.relu(weights * head.smooth_factor2 - head.noise_threshold2)
        weights = weights * losses.within(lengths * 3, weights.size(1), device)
        picked = [cache.utterances[i] for i in chosen]
        counts = torch.tensor([len(u.tokens) + 1 for u in picked])
        wanted = counts.to(device).float()
        mass = weights.sum(1)
        count_loss = (mass - wanted).abs().sum() / wanted.sum()
        scaled = weights * (wanted / mass.clamp(min=1e-3))[:, None]
        onsets = pad([fn.pad(torch.from_numpy(u.onsets), (0, 1), value=float(u.onsets[-1]) + _LAST_TOKEN)
                      for u in picked], True, 0.0).to(device)  # fmt: skip
        cumulative = fn.pad(scaled.cumsum(1), (1, 0))
        limit = (lengths * 3 - 1.001).to(device)[:, None]
        position = torch.minimum(((onsets + _FIRE_DELAY) / _FINE_FRAME).clamp(min=0), limit)
        low = position.long()
        part = position - low
        value = cumulative.gather(1, low) * (1 - part) + cumulative.gather(1, low + 1) * part
        k = torch.arange(1, value.size(1) + 1, device=device)[None].float()
        known = losses.within(counts, value.size(1), device)
        time_loss = ((value - k).abs() * known).sum() / known.sum()
        return time_loss + count_loss, {"time": time_loss.detach(), "count": count_loss.detach()}

    def rate(step: int) -> float:
        return linear_rate(step, settings.timestamp_steps, 2e-3, 50, 0.0)

    if len(cache.utterances) < 32:
        raise ValueError("the timestamp stage needs at least 32 cached utterances")
    run("timestamps", settings, settings.timestamp_steps, parts, rate, loss_of, folder / "timestamps.checkpoint")
    model.eval()
