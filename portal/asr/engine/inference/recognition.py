"""One batch of segments through Paraformer, BiCif-Paraformer or SeACo-Paraformer.

The result of a segment must not depend on what shares its batch. FunASR's padded encoder frames hold garbage that leaks
into the token predictor, its timestamp LSTM runs over padding, and its filter for long hotword lists looks at the first
item of the batch only. Here padded frames are zeroed, the LSTM runs on packed sequences, and the filter is per item.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.hotword_check import digest_of
from portal.asr.engine.inference.encoders import Stages, torch_stages
from portal.asr.engine.inference.features import FrontendSettings
from portal.asr.engine.inference.hotwords import encode_hotwords, read_seg_dict
from portal.asr.engine.inference.loading import Loaded
from portal.asr.engine.timing import fire_weights, token_times
from portal.asr.engine.words import words_of
from portal.asr.errors import ModelError
from portal.asr.types import Word

Floats = npt.NDArray[np.float32]

_FILTER: Final = 50
"""Above this many hotwords only the most attended ones of each segment take part, as in FunASR."""
_CACHED_LISTS: Final = 64


@dataclass(frozen=True, slots=True)
class _Encoded:
    """``hidden`` (B, T, D) with zeros after ``lengths``; ``alphas`` (B, T) token weights; all on the device."""

    hidden: torch.Tensor
    lengths: torch.Tensor
    mask: torch.Tensor
    alphas: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Best token and its probability per place (B, N) on the host; ``finite`` (B,) says which items are numbers."""

    ids: npt.NDArray[np.int64]
    confidence: Floats
    finite: npt.NDArray[np.bool_]


class Recogniser:
    """Owns the recognition model. Not thread-safe: the model thread alone calls it."""

    def __init__(self, loaded: Loaded, device: str, stages: Stages | None = None) -> None:
        """``stages``: who computes the costly parts; by default torch."""
        self._model = loaded.model
        self.stages = stages or torch_stages(loaded.model, device)
        self._tokens = loaded.tokens
        self._device = device
        self.frontend = FrontendSettings.load(loaded.config.get("frontend_conf") or {}, loaded.directory / "am.mvn")
        self._seg_dict = read_seg_dict(loaded.directory / "seg_dict")
        self._silent = {self._model.sos, self._model.eos, self._model.blank_id}
        predictor = self._model.predictor
        self.has_word_times = hasattr(predictor, "cif_output2")
        if self.has_word_times and predictor.upsample_type not in ("cnn", "cnn_blstm"):
            kind = str(predictor.upsample_type)
            raise ModelError("MODEL_FAMILY_REFUSED", f"upsample_type {kind} is not supported", family=kind)
        self.has_hotwords = hasattr(self._model, "seaco_decoder") and self._seg_dict is not None
        self.languages: tuple[str, ...] = ()
        self._bias: OrderedDict[str, torch.Tensor] = OrderedDict()

    @torch.inference_mode()
    def recognise(self, segments: Sequence[Floats], options: BatchOptions) -> list[Recognised | None]:
        """``segments``: filter banks (frames, 80) each. Words per segment in ms from its begin; None: not a number."""
        results: list[Recognised | None] = [Recognised(())] * len(segments)
        filled = [index for index, frames in enumerate(segments) if len(frames)]
        if not filled:
            return results
        encoded = self._encode([self.frontend.join(segments[index]) for index in filled])
        weights = self._fires(encoded)
        bad = [row for row, weight in enumerate(weights) if weight is None]
        spoken = [row for row, weight in enumerate(weights) if weight is not None and len(weight)]
        for row in bad:
            results[filled[row]] = None
        if not spoken:
            return results
        rows = torch.as_tensor(spoken, device=self._device)
        chosen = _Encoded(encoded.hidden[rows], encoded.lengths[rows], encoded.mask[rows], encoded.alphas[rows])
        tokens = [weight for weight in weights if weight is not None and len(weight)]
        decoded = self._decode(chosen, tokens, options.hotwords if self.has_hotwords else ())
        for place, words in enumerate(self._write(chosen, decoded, [len(weight) for weight in tokens])):
            results[filled[spoken[place]]] = None if words is None else Recognised(words)
        return results

    @property
    def capabilities(self) -> frozenset[str]:
        """Its part of ``contract.Capability``."""
        found = (("hotwords", self.has_hotwords), ("word_times", self.has_word_times))
        return frozenset(name for name, present in found if present)

    def forget_hotwords(self) -> None:
        """Drop the cached embeddings of hotword lists."""
        self._bias.clear()

    def _encode(self, features: Sequence[Floats]) -> _Encoded:
        lengths = torch.as_tensor([len(item) for item in features], device=self._device)
        hidden = self.stages.encoder(features)
        steps = torch.arange(hidden.size(1), device=self._device)
        mask = (steps[None, :] < lengths[:, None]).to(hidden.dtype)
        predictor = self._model.predictor
        context = torch.relu(predictor.cif_conv1d(predictor.pad(hidden.transpose(1, 2))))
        alphas = torch.sigmoid(predictor.cif_output(context.transpose(1, 2)))
        alphas = torch.relu(alphas * predictor.smooth_factor - predictor.noise_threshold).squeeze(-1) * mask
        return _Encoded(hidden, lengths, mask, alphas)

    def _fires(self, encoded: _Encoded) -> list[Floats | None]:
        """Per item the weights (tokens, frames) of its tokens; None where the model gave no numbers."""
        predictor = self._model.predictor
        alphas = encoded.alphas.float().cpu().numpy()
        weights: list[Floats | None] = []
        for row, length in enumerate(encoded.lengths.tolist()):
            own = alphas[row, :length]
            if not np.isfinite(own).all():
                weights.append(None)
                continue
            if predictor.tail_threshold > 0.0:
                own = np.append(own, np.float32(predictor.tail_threshold)).astype(np.float32)
            count = math.floor(float(own.sum()))
            # the tail lies on a frame of zeros: it can complete a token, and adds nothing to it
            fired = fire_weights(own, predictor.threshold)[:count, :length]
            missing = np.zeros((count - len(fired), length), dtype=np.float32)
            weights.append(np.concatenate([fired, missing]))
        return weights

    def _decode(self, encoded: _Encoded, weights: Sequence[Floats], hotwords: tuple[str, ...]) -> _Decoded:
        counts = torch.as_tensor([len(weight) for weight in weights], device=self._device)
        padded = np.zeros((len(weights), int(counts.max()), encoded.hidden.size(1)), dtype=np.float32)
        for row, weight in enumerate(weights):
            padded[row, : weight.shape[0], : weight.shape[1]] = weight
        acoustic = torch.bmm(torch.from_numpy(padded).to(self._device), encoded.hidden)
        scores, hidden = self.stages.decoder(encoded.hidden, encoded.lengths, acoustic, counts)
        scores = torch.log_softmax(scores, dim=-1)
        if hotwords:
            scores = self._with_hotwords(scores, acoustic, hidden, counts, self._embeddings(hotwords))
        best, ids = scores.max(dim=-1)
        places = torch.arange(best.size(1), device=self._device)[None, :] < counts[:, None]
        finite = (torch.isfinite(best) | ~places).all(dim=1)
        return _Decoded(ids.cpu().numpy(), best.exp().float().cpu().numpy(), finite.cpu().numpy())

    def _embeddings(self, hotwords: tuple[str, ...]) -> torch.Tensor:
        """(hotwords + 1, D) states of the bias LSTM, the last one for "none of them"; cached per list."""
        digest = digest_of(hotwords)
        if digest not in self._bias:
            assert self._seg_dict is not None
            ids = encode_hotwords(hotwords, self._seg_dict, self._tokens)
            ids.append([self._model.sos])
            padded = pad_sequence([torch.as_tensor(item) for item in ids], batch_first=True).to(self._device)
            lengths = torch.as_tensor([len(item) for item in ids], dtype=torch.int32)
            self._bias[digest] = self._model._hotword_representation(padded, lengths)
            while len(self._bias) > _CACHED_LISTS:
                self._bias.popitem(last=False)
        self._bias.move_to_end(digest)
        return self._bias[digest]

    def _with_hotwords(
        self,
        scores: torch.Tensor,
        acoustic: torch.Tensor,
        hidden: torch.Tensor,
        counts: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Replace the scores (B, N, V) at places where the hotword head names a token."""
        model = self._model
        context = bias[None].expand(scores.size(0), -1, -1)
        if bias.size(0) > _FILTER:
            context = self._most_attended(context, hidden, counts)
        sizes = torch.full((scores.size(0),), context.size(1), dtype=torch.int32, device=self._device)
        attended, _ = model.seaco_decoder(context, sizes, acoustic, counts)
        by_hidden, _ = model.seaco_decoder(context, sizes, hidden, counts)
        biased = torch.log_softmax(model.hotword_output_layer(attended + by_hidden), dim=-1)
        unbiased = (biased.argmax(dim=-1) == model.NO_BIAS)[:, :, None]
        return torch.where(unbiased, scores, biased)

    def _most_attended(self, context: torch.Tensor, hidden: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(B, hotwords + 1, D) to (B, 51, D): for each item the hotwords its own places attend to most."""
        sizes = torch.full((context.size(0),), context.size(1), dtype=torch.int32, device=self._device)
        attention = self._model.seaco_decoder.forward_asf6(context, sizes, hidden, counts)
        return self._gather(context, attention, counts)

    def _gather(self, context: torch.Tensor, attention: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        places = torch.arange(attention.size(2), device=self._device)[None, :] < counts[:, None]
        totals = (attention * places[:, None, :, None]).sum(dim=(1, 2))
        kept = min(_FILTER, context.size(1) - 1)
        chosen = torch.topk(totals, kept, dim=1).indices
        none = torch.full((context.size(0), 1), context.size(1) - 1, device=self._device)
        index = torch.cat([chosen, none], dim=1)[:, :, None].expand(-1, -1, context.size(2))
        return torch.gather(context, 1, index)

    def _write(self, encoded: _Encoded, decoded: _Decoded, counts: Sequence[int]) -> list[tuple[Word, ...] | None]:
        """Words per item, or None where the decoder gave no numbers."""
        times = self._timestamp_weights(encoded)
        frame_ms = 10.0 * self.frontend.lfr_n / (self._model.predictor.upsample_times if self.has_word_times else 1)
        written: list[tuple[Word, ...] | None] = []
        for row, count in enumerate(counts):
            if not decoded.finite[row]:
                written.append(None)
                continue
            places = [place for place in range(count) if int(decoded.ids[row, place]) not in self._silent]
            spans = token_times(times[row], len(places), frame_ms, scale_to=count if self.has_word_times else None)
            tokens = [
                Word(
                    self._tokens[int(decoded.ids[row, place])],
                    begin,
                    end,
                    round(float(decoded.confidence[row, place]), 4),
                )
                for place, (begin, end) in zip(places, spans, strict=True)
            ]
            written.append(words_of(tokens))
        return written

    def _timestamp_weights(self, encoded: _Encoded) -> list[Floats]:
        """Per item the weights of its (upsampled) frames from which token times follow."""
        lengths = encoded.lengths.cpu()
        if not self.has_word_times:
            alphas = encoded.alphas.float().cpu().numpy()
            return [alphas[row, :length] for row, length in enumerate(lengths.tolist())]
        assert self.stages.timestamps is not None
        weights = self.stages.timestamps(encoded.hidden, encoded.lengths)
        long = lengths * self._model.predictor.upsample_times
        on_host = weights.float().cpu().numpy()
        return [on_host[row, :length] for row, length in enumerate(long.tolist())]
