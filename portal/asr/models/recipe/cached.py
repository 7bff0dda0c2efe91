"""Outputs of the finished recogniser for the stages that train on top of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import losses
from .corpus import Utterance
from .train_recognizer import Feeder, epoch_batches


@dataclass
class Flat:
    """Rows of different length in one half-precision tensor on the device."""

    values: Tensor  # (sum of lengths, D)
    starts: Tensor  # (rows) on the CPU
    lengths: Tensor  # (rows) on the CPU

    def rows(self, chosen: list[int]) -> tuple[Tensor, Tensor]:
        """(B, longest, D) zero-padded float32 and lengths (B) on the CPU."""
        lengths = self.lengths[chosen]
        place = torch.arange(int(lengths.max()))[None]
        index = (self.starts[chosen][:, None] + torch.minimum(place, lengths[:, None] - 1)).to(self.values.device)
        keep = losses.within(lengths, index.size(1), self.values.device)[..., None]
        return self.values[index].float() * keep, lengths


@dataclass
class Cache:
    """`encoded`: encoder output; `acoustic`: integrated embeddings; `hidden`: decoder states before the output."""

    utterances: list[Utterance]
    encoded: Flat
    acoustic: Flat
    hidden: Flat


def _flat(rows: list[Tensor]) -> Flat:
    lengths = torch.tensor([len(r) for r in rows])
    return Flat(torch.cat(rows), lengths.cumsum(0) - lengths, lengths)


@torch.no_grad()
def compute(
    model: Any, utterances: list[Utterance], norm: Tensor, device: torch.device, count: int, seed: int
) -> Cache:
    """Run the frozen recogniser over `count` random utterances with speech."""
    rng = random.Random(f"{seed}/cache")
    spoken = [u for u in utterances if len(u.tokens) > 1]
    picked = rng.sample(spoken, min(count, len(spoken)))
    feeder = Feeder(picked, norm, device)
    found: list[tuple[Tensor, Tensor, Tensor] | None] = [None] * len(picked)
    model.eval()
    for indices in epoch_batches(picked, 12_000, f"{seed}/cache"):
        batch = feeder.batch(indices)
        encoded, _ = model.encode(batch.frames, batch.lengths)
        mask = losses.within(batch.lengths, encoded.size(1), device)
        weights = losses.token_weights(model.predictor, encoded, mask)
        lengths = batch.token_lengths + 1
        scale = lengths.to(device).float() / weights.sum(1).clamp(min=1e-3)
        acoustic = losses.integrate(encoded, weights * scale[:, None], int(lengths.max()))
        acoustic = acoustic * losses.within(lengths, acoustic.size(1), device)[..., None]
        hidden, _ = model.decoder(encoded, batch.lengths, acoustic, lengths, return_hidden=True)
        for row, index in enumerate(indices):
            frames, tokens = int(batch.lengths[row]), int(lengths[row])
            found[index] = (
                encoded[row, :frames].half(), acoustic[row, :tokens].half(), hidden[row, :tokens].half()
            )  # fmt: skip
    kept = [f for f in found if f is not None]
    return Cache(picked, _flat([k[0] for k in kept]), _flat([k[1] for k in kept]), _flat([k[2] for k in kept]))
