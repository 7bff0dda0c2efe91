"""The Paraformer losses without Python loops over frames, plus two that use espeak's onsets.

FunASR's own `forward` runs the predictor twice, integrates frame by frame in Python and samples utterance by
utterance; here the integration is one matrix product. The two alignment losses make training short: frames learn
the token sounding at that moment, and the predictor's mass up to the onset of token k learns to be k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor

from .features import LOW_RATE_FRAME

_LONGEST_TOKEN = 0.35  # s; a frame later than this after the last onset counts as silence


@dataclass
class Batch:
    """`frames` (B, T, 560) normalised; `lengths` (B) on the CPU; `tokens` (B, N) padded with -1;
    `token_lengths` (B) on the CPU; `onsets` (B, N) in s."""

    frames: Tensor
    lengths: Tensor
    tokens: Tensor
    token_lengths: Tensor
    onsets: Tensor


def within(lengths: Tensor, total: int, device: torch.device) -> Tensor:
    """(B, total) float mask of the valid positions."""
    return (torch.arange(total, device=device)[None] < lengths.to(device)[:, None]).float()


def integrate(hidden: Tensor, weights: Tensor, count: int) -> Tensor:
    """Continuous integrate-and-fire: (B, T, D) and (B, T) to (B, count, D).

    Token k is the integral of `hidden` over the cumulative weight from k to k+1.
    """
    ends = weights.cumsum(1)
    starts = ends - weights
    k = torch.arange(count, device=weights.device, dtype=weights.dtype)[None, :, None]
    share = (torch.minimum(ends[:, None], k + 1) - torch.maximum(starts[:, None], k)).clamp(min=0)
    return share @ hidden


def token_weights(predictor: Any, hidden: Tensor, mask: Tensor) -> Tensor:
    """(B, T) firing weights of CifPredictorV3, first head only."""
    out = torch.relu(predictor.cif_conv1d(predictor.pad(hidden.transpose(1, 2)))).transpose(1, 2)
    weights = torch.sigmoid(predictor.cif_output(out)).squeeze(-1)
    return torch.relu(weights * predictor.smooth_factor - predictor.noise_threshold) * mask


def frame_labels(batch: Batch, total: int) -> Tensor:
    """(B, total) id of the token sounding in the middle of each stacked frame, 0 for none."""
    device = batch.tokens.device
    moment = torch.arange(total, device=device) * LOW_RATE_FRAME + 0.0125
    known = within(batch.token_lengths, batch.onsets.size(1), device) > 0
    onsets = batch.onsets.masked_fill(~known, 1e9).contiguous()
    index = torch.searchsorted(onsets, moment[None].expand(len(onsets), -1).contiguous(), right=True) - 1
    at = index.clamp(min=0)
    sounding = (index >= 0) & (moment[None] - onsets.gather(1, at) < _LONGEST_TOKEN)
    return torch.where(sounding, batch.tokens.clamp(min=0).gather(1, at), 0)


def with_end(batch: Batch, end: int) -> tuple[Tensor, Tensor]:
    """Tokens followed by the end token, (B, N+1) padded with -1, and their lengths on the CPU."""
    targets = fn.pad(batch.tokens, (0, 1), value=-1)
    lengths = batch.token_lengths + 1
    return targets.scatter(1, (lengths - 1).to(targets.device)[:, None], end), lengths


def glance(model: Any, acoustic: Tensor, targets: Tensor, wrong: Tensor, ratio: float) -> Tensor:
    """Replace some acoustic embeddings by those of the true tokens: as many as `ratio` of the wrong ones (B)."""
    valid = targets >= 0
    order = torch.rand(targets.shape, device=targets.device).masked_fill(~valid, 2.0)
    rank = order.argsort(1).argsort(1)
    chosen = (rank < (wrong * ratio).long()[:, None]) & valid
    return torch.where(chosen[..., None], model.decoder.embed(targets.clamp(min=0)), acoustic)


def recognizer_loss(
    model: Any, batch: Batch, align: float, frame: float, ratio: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The training loss and figures to report; `align`, `frame`: weights of the two alignment losses."""
    encoded, _ = model.encode(batch.frames, batch.lengths)
    mask = within(batch.lengths, encoded.size(1), encoded.device)
    labels = frame_labels(batch, encoded.size(1)).masked_fill(mask == 0, -1)
    frame_loss = fn.cross_entropy(model.ctc.ctc_lo(encoded).transpose(1, 2), labels, ignore_index=-1)
    targets, lengths = with_end(batch, model.eos)
    true_count = lengths.to(encoded.device).float()
    weights = token_weights(model.predictor, encoded, mask)
    mass = weights.sum(1)
    count_loss = (mass - true_count).abs().sum() / true_count.sum()
    align_loss = _alignment(weights, batch)
    acoustic = integrate(encoded, weights * (true_count / mass.clamp(min=1e-3))[:, None], targets.size(1))
    acoustic = acoustic * within(lengths, targets.size(1), encoded.device)[..., None]
    inputs = acoustic
    if ratio > 0:
        with torch.no_grad():
            first = model.decoder(encoded, batch.lengths, acoustic, lengths)[0].argmax(-1)
            wrong = ((first != targets) & (targets >= 0)).sum(1).float()
        inputs = glance(model, acoustic, targets, wrong, ratio)
    logits = model.decoder(encoded, batch.lengths, inputs, lengths)[0]
    token_loss = fn.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-1, label_smoothing=0.1)
    right = ((logits.argmax(-1) == targets) & (targets >= 0)).sum() / (targets >= 0).sum()
    total = token_loss + count_loss * model.predictor_weight + align * align_loss + frame * frame_loss
    figures = {"token": token_loss, "count": count_loss, "align": align_loss, "frame": frame_loss, "right": right}
    return total, {name: value.detach() for name, value in figures.items()}


def _alignment(weights: Tensor, batch: Batch) -> Tensor:
    """Mean |cumulative weight at the onset of token k - k|."""
    known = within(batch.token_lengths, batch.onsets.size(1), weights.device)
    cumulative = fn.pad(weights.cumsum(1), (1, 0))
    position = (batch.onsets / LOW_RATE_FRAME).clamp(min=0)
    low = position.long().clamp(max=cumulative.size(1) - 2)
    part = (position - low).clamp(max=1)
    value = cumulative.gather(1, low) * (1 - part) + cumulative.gather(1, low + 1) * part
    k = torch.arange(value.size(1), device=value.device)[None].float()
    return ((value - k).abs() * known).sum() / known.sum().clamp(min=1)
