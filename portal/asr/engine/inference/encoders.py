"""The costly stages of recognition behind narrow interfaces, so that a profile can exchange the arithmetic of each.

Everything here takes whole segments and promises the same of every implementation: what comes out for a segment does
not depend on what shares its batch, and frames or places after a segment's own are zero (encoder) or meaningless
(decoder, timestamps) and never read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from portal.asr.engine.inference.packed import TorchPackedEncoder, covers

Floats = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Features to hidden states."""

    def __call__(self, features: Sequence[Floats]) -> torch.Tensor:
        """``features``: (T_i, lfr_m * 80) per segment. Returns fp32 (B, max T, D) on the device, zero after T_i."""


class Decoder(Protocol):
    """Acoustic embeddings of tokens to scores of the vocabulary."""

    def __call__(
        self, hidden: torch.Tensor, lengths: torch.Tensor, acoustic: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``hidden`` (B, T, D) on the device with ``lengths`` (B,), ``acoustic`` (B, N, D) with ``counts`` (B,);
        lengths and counts are on the host.

        Returns fp32 scores (B, N, V) before the softmax and the decoder's states (B, N, D) for the hotword head.
        """


class TimestampHead(Protocol):
    """Hidden states to the weights from which token times follow (models with word times only)."""

    def __call__(self, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """``hidden`` (B, T, D) on the device, ``lengths`` (B,) on the host.

        Returns fp32 (B, max(lengths) * upsample_times)."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What a Recogniser runs. ``timestamps`` is None for models without word times."""

    encoder: Encoder
    decoder: Decoder
    timestamps: TimestampHead | None


class TorchPaddedEncoder:
    """FunASR's own forward pass over a padded batch, its padded frames zeroed."""

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device

    def __call__(self, features: Sequence[Floats]) -> torch.Tensor:
        """See Encoder."""
        # lengths stay on the host: FunASR's masks ask for them one by one
        lengths = [len(item) for item in features]
        batch = pad_sequence([torch.from_numpy(item) for item in features], batch_first=True).to(self._device)
        hidden = self._model.encoder(batch, lengths)[0]
        steps = torch.arange(hidden.size(1), device=self._device)
        own = steps[None, :] < torch.as_tensor(lengths).to(self._device)[:, None]
        zeroed: torch.Tensor = hidden * own.to(hidden.dtype)[:, :, None]
        return zeroed


class TorchDecoder:
    """FunASR's own decoder."""

    def __init__(self, model: Any) -> None:
        self._decoder = model.decoder

    def __call__(
        self, hidden: torch.Tensor, lengths: torch.Tensor, acoustic: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See Decoder."""
        scores, states, _ = self._decoder(hidden, lengths, acoustic, counts, return_hidden=True, return_both=True)
        return scores, states


class TorchTimestampHead:
    """FunASR's upsampling and LSTM, the LSTM over packed sequences so that it never reads padding."""

    def __init__(self, model: Any) -> None:
        self._predictor = model.predictor

    def __call__(self, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """See TimestampHead."""
        predictor = self._predictor
        context = hidden.transpose(1, 2)
        if predictor.use_cif1_cnn:
            context = torch.relu(predictor.cif_conv1d(predictor.pad(context)))
        upsampled = predictor.upsample_cnn(context).transpose(1, 2)
        if predictor.upsample_type == "cnn_blstm":
            long = lengths.cpu() * predictor.upsample_times
            packed = pack_padded_sequence(upsampled, long, batch_first=True, enforce_sorted=False)
            upsampled, _ = pad_packed_sequence(predictor.blstm(packed)[0], batch_first=True)
        weights = torch.sigmoid(predictor.cif_output2(upsampled)).squeeze(-1)
        return torch.relu(weights * predictor.smooth_factor2 - predictor.noise_threshold2)


def torch_stages(model: Any, device: str) -> Stages:
    """The stages as FunASR computes them; on a CPU, where padding costs as much as speech, with a packed encoder."""
    has_times = hasattr(model.predictor, "cif_output2")
    timestamps = TorchTimestampHead(model) if has_times else None
    packed = device == "cpu" and covers(model.encoder)
    encoder = TorchPackedEncoder(model.encoder) if packed else TorchPaddedEncoder(model, device)
    return Stages(encoder, TorchDecoder(model), timestamps)
