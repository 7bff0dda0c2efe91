"""Stage 1: encoder, predictor and decoder of the recogniser."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import features, losses
from .corpus import Utterance
from .loop import linear_rate, run
from .networks import build_recognizer
from .settings import Settings

# Parts that later stages train.
LATER = ("bias_encoder", "seaco_decoder", "hotword_output_layer", "predictor.upsample", "predictor.blstm",
         "predictor.cif_output2")  # fmt: skip


def normalisation(utterances: list[Utterance]) -> Tensor:
    """(2, 560): minus the mean and one over the standard deviation of the stacked frames, from 1 500 utterances."""
    frames = [torch.from_numpy(u.frames.astype(np.float32)) for u in utterances[:1500] if len(u.tokens)]
    stacked = torch.cat([features.stack_batch(f[None], torch.tensor([len(f)]))[0] for f in frames])
    return torch.stack([-stacked.mean(0), 1 / stacked.std(0)])


class Feeder:
    """Turns utterances into batches on the device. All filterbanks lie there in one tensor."""

    def __init__(self, utterances: list[Utterance], norm: Tensor, device: torch.device) -> None:
        self.utterances, self.device = utterances, device
        self.norm = norm.to(device)
        counts = np.array([len(u.frames) for u in utterances])
        self.starts = torch.from_numpy(np.cumsum(counts) - counts)
        self.counts = torch.from_numpy(counts)
        self.frames = torch.from_numpy(np.concatenate([u.frames for u in utterances])).to(device)

    def batch(self, chosen: list[int]) -> losses.Batch:
        """One batch, see `losses.Batch`."""
        counts = self.counts[chosen]
        offsets = torch.minimum(torch.arange(int(counts.max()))[None], counts[:, None] - 1)
        rows = (self.starts[chosen][:, None] + offsets).to(self.device, non_blocking=True)
        stacked = features.stack_batch(self.frames[rows].float(), counts)
        pad = torch.nn.utils.rnn.pad_sequence
        picked = [self.utterances[i] for i in chosen]
        tokens = pad([torch.from_numpy(u.tokens) for u in picked], True, -1)
        onsets = pad([torch.from_numpy(u.onsets) for u in picked], True, 0.0)
        if tokens.size(1) == 0:  # only clips without speech
            tokens, onsets = torch.full((len(chosen), 1), -1), torch.zeros(len(chosen), 1)
        return losses.Batch(
            (stacked + self.norm[0]) * self.norm[1],
            (counts + 5) // 6,
            tokens.to(self.device, non_blocking=True),
            torch.tensor([len(u.tokens) for u in picked]),
            onsets.to(self.device, non_blocking=True),
        )


def epoch_batches(utterances: list[Utterance], frames: int, seed: str) -> list[list[int]]:
    """Indices grouped by similar length, `frames` padded stacked frames per batch, in random order."""
    rng = random.Random(seed)
    lengths = [u.low_rate_frames for u in utterances]
    order = sorted(range(len(utterances)), key=lambda i: lengths[i] + rng.uniform(-8, 8))
    batches: list[list[int]] = [[]]
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        if batches[-1] and longest * (len(batches[-1]) + 1) > frames:
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    rng.shuffle(batches)
    return batches


def masked(frames: Tensor) -> Tensor:
    """Hide one band of up to 14 mels and one stretch of up to 3 stacked frames per utterance (SpecAug)."""
    batch, total, _ = frames.shape
    device = frames.device

    def stretch(size: int, widest: int) -> Tensor:
        width = torch.rand(batch, 1, device=device) * (widest + 1)
        start = torch.rand(batch, 1, device=device) * size
        place = torch.arange(size, device=device)[None]
        return (place >= start) & (place < start + width.floor())

    mel = stretch(features.MELS, 14).repeat(1, 7)[:, None, :]
    moments = stretch(total, 3)[..., None]
    return frames.masked_fill(mel | moments, 0.0)


def train(
    utterances: list[Utterance], norm: Tensor, folder: Path, device: torch.device, settings: Settings
) -> dict[str, Any]:
    """Train and return the state of the recogniser (on the CPU, without the helper layer)."""
    torch.manual_seed(settings.seed)
    model = build_recognizer(training=True).to(device)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(LATER)
    feeder = Feeder(utterances, norm, device)
    steps = settings.recognizer_steps
    epochs: dict[int, list[list[int]]] = {}
    sizes: list[int] = []

    def chosen(step: int) -> list[int]:
        number = 0
        while True:  # which epoch this step lies in; lengths of epochs differ a little
            if number == len(sizes):
                batches = epoch_batches(utterances, settings.batch_frames, f"{settings.seed}/{number}")
                epochs.clear()
                epochs[number] = batches
                sizes.append(len(batches))
            if step < sizes[number]:
                break
            step -= sizes[number]
            number += 1
        if number not in epochs:
            epochs[number] = epoch_batches(utterances, settings.batch_frames, f"{settings.seed}/{number}")
        return epochs[number][step]

    def loss_of(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        done = step / steps
        batch = feeder.batch(chosen(step))
        batch.frames = masked(batch.frames)
        early = 1.0 if done < 0.4 else 0.4
        return losses.recognizer_loss(model, batch, early, early, 0.0 if done < 0.12 else 0.4)

    def rate(step: int) -> float:
        return linear_rate(step, steps, settings.recognizer_rate, 200, 0.35)

    model.train()
    run("recognizer", settings, steps, [model], rate, loss_of, folder / "recognizer.checkpoint")
    return {k: v.detach().cpu() for k, v in model.state_dict().items() if not k.startswith("ctc.")}
