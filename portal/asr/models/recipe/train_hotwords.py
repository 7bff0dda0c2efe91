"""Stage 3: SeACo's bias encoder, decoder and output layer; the recogniser is frozen and its outputs are cached."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor

from .cached import Cache
from .hotword_batches import HotwordBatch, HotwordSampler
from .loop import linear_rate, run
from .settings import Settings

_sampler: HotwordSampler | None = None


def _start(sampler: HotwordSampler) -> None:
    global _sampler
    _sampler = sampler


def _make(step: int) -> dict[str, Any]:
    """One batch as NumPy arrays: torch would hand tensors over through one open file each."""
    assert _sampler is not None
    made = vars(_sampler.batch(step))
    return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in made.items()}


class Ahead:
    """Batches made by other processes some steps ahead; with no process, made when asked for."""

    def __init__(self, sampler: HotwordSampler, processes: int, steps: int) -> None:
        self.sampler, self.steps = sampler, steps
        self.waiting: dict[int, Any] = {}
        self.pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, (sampler,)) if processes > 0 else None

    def get(self, step: int) -> HotwordBatch:
        """The batch of `step`."""
        if self.pool is None:
            return self.sampler.batch(step)
        for number in range(step, min(step + 64, self.steps)):
            if number not in self.waiting:
                self.waiting[number] = self.pool.submit(_make, number)
        made: dict[str, Any] = self.waiting.pop(step).result()
        chosen: list[int] = made.pop("chosen")
        return HotwordBatch(chosen, **{name: torch.from_numpy(value) for name, value in made.items()})

    def close(self) -> None:
        """Stop the processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


def start_embeddings(model: Any, cache: Cache, sampler: HotwordSampler) -> None:
    """Give characters that the recogniser never saw the embedding of a homophone, slightly moved."""
    seen = Counter(t for u in cache.utterances for t in u.tokens.tolist())
    weight = model.decoder.embed[0].weight
    generator = torch.Generator().manual_seed(sampler.seed)
    with torch.no_grad():
        spread = 0.3 * weight.std()
        for alike in sampler.members.values():
            known = max(alike, key=lambda t: seen[t])
            for token in alike:
                if seen[token] <= 3 < seen[known]:
                    move = torch.randn(weight.size(1), generator=generator).to(weight.device)
                    weight[token] = weight[known] + spread * move


def encode_pool(model: Any, batch: HotwordBatch, device: torch.device) -> Tensor:
    """(P, D) LSTM state after the last character of each hotword; one direction, so padding does not matter."""
    states, _ = model.bias_encoder(model.decoder.embed(batch.pool.to(device)))
    last = (batch.pool_lengths - 1).to(device)
    picked: Tensor = states[torch.arange(len(last), device=device), last]
    return picked


def train(model: Any, cache: Cache, folder: Path, device: torch.device, settings: Settings, processes: int) -> None:
    """Train the hotword parts in place. `processes` beside this one prepare batches."""
    parts = [model.bias_encoder, model.seaco_decoder, model.hotword_output_layer, model.decoder.embed]
    for parameter in model.parameters():
        parameter.requires_grad = False
    for part in parts:
        part.train()  # cuDNN's LSTM has no backward pass in evaluation mode
        for parameter in part.parameters():
            parameter.requires_grad = True
    steps = settings.hotword_steps
    sampler = HotwordSampler(cache.utterances, settings.seed, steps, settings.hotword_batch)
    if not (folder / "hotwords.checkpoint").exists():
        start_embeddings(model, cache, sampler)
    ahead = Ahead(sampler, processes, steps)
    total = len(sampler.vocabulary)

    def loss_of(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        done = step / steps
        batch = ahead.get(step)
        pool = encode_pool(model, batch, device)
        context = pool[batch.lists.to(device)]
        acoustic, lengths = cache.acoustic.rows(batch.chosen)
        hidden, _ = cache.hidden.rows(batch.chosen)
        # One pass over both queries: same decoder, same context.
        both, _ = model.seaco_decoder(
            torch.cat([context, context]), batch.list_lengths.repeat(2), torch.cat([acoustic, hidden]),
            lengths.repeat(2),
        )  # fmt: skip
        merged = both[: len(context)] + both[len(context) :]
        logits = model.hotword_output_layer(merged[:, :-1])
        labels = batch.labels.to(device)
        weight = torch.ones(total, device=device)
        weight[sampler.no_bias] = 0.35 if done < 0.4 else 0.7 if done < 0.8 else 0.85
        loss = fn.cross_entropy(logits.transpose(1, 2), labels, weight=weight, ignore_index=-1)
        spelled = model.hotword_output_layer(pool[:-1]).log_softmax(-1)
        words = batch.pool[:-1].to(device)
        here = (torch.arange(words.size(1))[None] < batch.pool_lengths[:-1, None]).to(device)
        chance = spelled.gather(1, words)
        spell_loss = -((chance * here).sum(1) / here.sum(1)).mean()
        best = logits.argmax(-1)
        wanted = (labels >= 0) & (labels != sampler.no_bias)
        hit = ((best == labels) & wanted).sum()
        figures = {
            "loss": loss.detach(),
            "spell": spell_loss.detach(),
            "recall": hit / wanted.sum().clamp(min=1),
            "precision": hit / ((best != sampler.no_bias) & (labels >= 0)).sum().clamp(min=1),
        }
        return loss + (0.5 if done < 0.35 else 0.15) * spell_loss, figures

    def rate(step: int) -> float:
        return linear_rate(step, steps, settings.hotword_rate, 60, 0.4)

    try:
        run("hotwords", settings, steps, parts, rate, loss_of, folder / "hotwords.checkpoint")
    finally:
        ahead.close()
    model.eval()
