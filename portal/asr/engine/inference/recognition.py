"""One batch of segments through Paraformer, BiCif-Paraformer or SeACo-Paraformer.

The result of a segment must not depend on what shares its batch. FunASR's padded encoder frames hold garbage that leaks
into the token predictor, its timestamp LSTM runs over padding, and its filter for long hotword lists looks at the first
item of the batch only. Here padded frames are zeroed, the LSTM runs on packed sequences, and the filter is per item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.inference.cif import Cif
from portal.asr.engine.inference.encoders import Stages, torch_stages
from portal.asr.engine.inference.features import FrontendSettings
from portal.asr.engine.inference.hotword_head import HotwordHead
from portal.asr.engine.inference.loading import Loaded
from portal.asr.engine.timing import token_times
from portal.asr.engine.words import words_of
from portal.asr.errors import ModelError
from portal.asr.types import Word
from portal.asr.vocabulary import read_seg_dict

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Spoken:
    """The items of a batch in which the model hears tokens. ``hidden`` (B, T, D) with zeros after ``lengths``, on the
    device; ``tokens``: weights (tokens, frames) per item; ``durations_ms`` of the segments."""

    hidden: torch.Tensor
    lengths: list[int]
    tokens: list[Floats]
    durations_ms: list[int]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Best token and the logarithm of its probability per place (B, N), on the host."""

    ids: npt.NDArray[np.int64]
    best: Floats


class Recogniser:
    """Owns the recognition model. Not thread-safe: the model thread alone calls it."""

    def __init__(self, loaded: Loaded, device: str, stages: Stages | None = None) -> None:
        """``stages``: who computes the costly parts; by default torch."""
        self._model = loaded.model
        self.stages = stages or torch_stages(loaded.model, device)
        self._tokens = loaded.tokens
        self._device = device
        self.frontend = FrontendSettings.load(loaded.config.get("frontend_conf") or {}, loaded.directory / "am.mvn")
        self._silent = {self._model.sos, self._model.eos, self._model.blank_id}
        predictor = self._model.predictor
        self._cif = Cif(predictor, together=device != "cpu")
        self.has_word_times = hasattr(predictor, "cif_output2")
        if self.has_word_times and predictor.upsample_type not in ("cnn", "cnn_blstm"):
            kind = str(predictor.upsample_type)
            raise ModelError("MODEL_FAMILY_REFUSED", f"upsample_type {kind} is not supported", family=kind)
        seg_dict = read_seg_dict(loaded.directory / "seg_dict")
        self._hotwords: HotwordHead | None = None
        if hasattr(self._model, "seaco_decoder") and seg_dict is not None:
            self._hotwords = HotwordHead(self._model, seg_dict, loaded.tokens, device)
        self.languages: tuple[str, ...] = ()

    @torch.inference_mode()
    def recognise(self, segments: Sequence[Floats], options: BatchOptions) -> list[Recognised | None]:
        """``segments``: filter banks (frames, 80) each. Words per segment in ms from its begin; None: not a number.

        Without word times (none wanted, or a model that has none) every word has those of its segment.
        """
        results: list[Recognised | None] = [Recognised(())] * len(segments)
        filled = [index for index, frames in enumerate(segments) if len(frames)]
        if not filled:
            return results
        features = [self.frontend.join(segments[index]) for index in filled]
        hidden, lengths = self.stages.encoder(features), [len(item) for item in features]
        fired = self._cif.fire(hidden, lengths)
        rows: list[int] = []
        tokens: list[Floats] = []
        for row, weights in enumerate(fired):
            if weights is None:
                results[filled[row]] = None
            elif len(weights):
                rows.append(row)
                tokens.append(weights)
        if not rows:
            return results
        if len(rows) < len(filled):
            hidden = hidden[torch.as_tensor(rows, device=self._device)]
        durations = [10 * len(segments[filled[row]]) for row in rows]
        spoken = _Spoken(hidden, [lengths[row] for row in rows], tokens, durations)
        decoded = self._decode(spoken, options)
        for row, words in zip(rows, self._write(spoken, decoded, timed=options.want_words), strict=True):
            results[filled[row]] = None if words is None else Recognised(words)
        return results

    @property
    def capabilities(self) -> frozenset[str]:
        """Its part of ``contract.Capability``."""
        hotwords = self._hotwords is not None
        found = (("hotwords", hotwords), ("hotword_weight", hotwords), ("word_times", self.has_word_times))
        return frozenset(name for name, present in found if present)

    def forget_hotwords(self) -> None:
        """Drop the cached embeddings of hotword lists."""
        if self._hotwords is not None:
            self._hotwords.forget()

    def _decode(self, spoken: _Spoken, options: BatchOptions) -> _Decoded:
        # lengths stay on the host: FunASR's masks ask for their largest
        counts = torch.as_tensor([len(weights) for weights in spoken.tokens])
        lengths = torch.as_tensor(spoken.lengths)
        acoustic = self._cif.embed(spoken.hidden, spoken.tokens)
        scores, states = self.stages.decoder(spoken.hidden, lengths, acoustic, counts)
        scores = torch.log_softmax(scores, dim=-1)
        if options.hotwords and self._hotwords is not None:
            scores = self._hotwords.apply(scores, acoustic, states, counts, options.hotwords, options.hotword_weight)
        best, ids = scores.max(dim=-1)
        # token numbers are small enough to be exact in fp32: both come in one copy
        on_host = torch.stack([ids.to(torch.float32), best.float()]).cpu().numpy()
        return _Decoded(on_host[0].astype(np.int64), on_host[1])

    def _write(self, spoken: _Spoken, decoded: _Decoded, *, timed: bool) -> list[tuple[Word, ...] | None]:
        """Words per item, or None where the decoder gave no numbers."""
        weights = self._timestamp_weights(spoken) if timed and self.has_word_times else None
        written: list[tuple[Word, ...] | None] = []
        for row, fired in enumerate(spoken.tokens):
            ids, best = decoded.ids[row, : len(fired)], decoded.best[row, : len(fired)]
            if not np.isfinite(best).all():
                written.append(None)
                continue
            kept = [place for place, token in enumerate(ids.tolist()) if token not in self._silent]
            spans = [(0, spoken.durations_ms[row])] * len(kept)
            if weights is not None:
                frame_ms = 10.0 * self.frontend.lfr_n / self._model.predictor.upsample_times
                spans = token_times(weights[row], len(kept), frame_ms, scale_to=len(fired))
            sure = np.exp(best[kept]).astype(np.float64).round(4).tolist()
            tokens = [
                Word(self._tokens[token], begin, end, confidence)
                for token, (begin, end), confidence in zip(ids[kept].tolist(), spans, sure, strict=True)
            ]
            written.append(words_of(tokens))
        return written

    def _timestamp_weights(self, spoken: _Spoken) -> list[Floats]:
        """Per item the weights of its upsampled frames from which token times follow."""
        assert self.stages.timestamps is not None
        lengths = torch.as_tensor(spoken.lengths)
        on_host = self.stages.timestamps(spoken.hidden, lengths).float().cpu().numpy()
        times = self._model.predictor.upsample_times
        return [on_host[row, : length * times] for row, length in enumerate(spoken.lengths)]
