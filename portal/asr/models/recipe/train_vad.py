"""The voice activity detector: FunASR's FSMN on frames labelled by the energy of the clean clips."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import features
from .loop import linear_rate, run
from .networks import build_vad
from .settings import Settings

_WINDOW = 600  # frames of 10 ms in one training example
_BATCH = 16
# Probabilities of exactly 0 or 1 crash FunASR's detector in math.log(0); smoothing keeps them away from both.
_SMOOTHING = 0.04


def train(corpus: Path, folder: Path, device: torch.device, settings: Settings) -> tuple[dict[str, Tensor], Tensor]:
    """The trained state and the (2, 400) normalisation of the stacked frames."""
    with np.load(corpus) as stored:
        frames = torch.from_numpy(stored["frames"]).to(device)
        labels = torch.from_numpy(stored["labels"]).to(device)
        counts = stored["counts"]
    starts = np.cumsum(counts) - counts
    sample = frames[: 100 * 6000].float()
    stacked = features.stack_batch(sample[None], torch.tensor([len(sample)]), 5, 1)[0]
    norm = torch.stack([-stacked.mean(0), 1 / stacked.std(0)])
    torch.manual_seed(settings.seed)
    model = build_vad().to(device)

    def loss_of(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = random.Random(f"{settings.seed}/vad steps/{step}")
        rows, lengths = [], []
        for _ in range(_BATCH):
            clip = rng.randrange(len(counts))
            offset = rng.randrange(max(1, int(counts[clip]) - _WINDOW))
            length = min(_WINDOW, int(counts[clip]) - offset)
            rows.append(int(starts[clip]) + offset + np.minimum(np.arange(_WINDOW), length - 1))
            lengths.append(length)
        index = torch.from_numpy(np.stack(rows)).to(device)
        inputs = features.stack_batch(frames[index].float(), torch.tensor(lengths), 5, 1)
        inputs = (inputs + norm[0]) * norm[1]
        target = labels[index]
        known = (torch.arange(_WINDOW)[None] < torch.tensor(lengths)[:, None]).to(device)
        chance = model.encoder(inputs, cache=None).clamp(1e-6, 1)
        logs = chance.log()
        true = logs.gather(2, target[..., None])[..., 0]
        loss = -((1 - _SMOOTHING) * true + _SMOOTHING * logs.mean(-1))[known].mean()
        right = (chance.argmax(-1) == target)[known].float().mean()
        return loss, {"loss": loss.detach(), "right": right}

    def rate(step: int) -> float:
        return linear_rate(step, settings.vad_steps, 2e-3, 20, 0.1)

    model.train()
    run("vad", settings, settings.vad_steps, [model.encoder], rate, loss_of, folder / "vad.checkpoint")
    return {k: v.detach().cpu() for k, v in model.state_dict().items()}, norm.cpu()
