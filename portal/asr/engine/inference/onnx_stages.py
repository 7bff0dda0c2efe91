"""The stages of recognition computed by ONNX Runtime on the CPU, one segment at a time.

One at a time there is no padding at all, and the scale of integer arithmetic, which the runtime takes from all of its
input, is a segment's own: a result never depends on what shares its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from portal.asr.engine.inference.encoders import Stages, TorchTimestampHead
from portal.asr.engine.inference.onnx_cache import GraphCache
from portal.asr.engine.inference.onnx_graph import GRAPH, Arithmetic
from portal.asr.engine.inference.onnx_models import Unsupported, write_decoder, write_encoder, write_timestamps

Floats = npt.NDArray[np.float32]

_WIDE_PRODUCTS: Final = ("vnni", "amx_int8", "asimddp", "i8mm")
"""Flags of processors that add up 8-bit products in 32 bits. Others add pairs in 16 bits and would overflow."""


def integer_bits(cpuinfo: Path = Path("/proc/cpuinfo")) -> int:
    """Bits that integer weights may have on this processor: 8, or 7 where products of 8 bits overflow."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 7
    known = next((line for line in text.splitlines() if line.lower().startswith(("flags", "features"))), "")
    return 8 if any(flag in known for flag in _WIDE_PRODUCTS) else 7


def onnx_stages(
    model: Any, digest: str, cache: GraphCache, arithmetic: Arithmetic, threads: int, *, timing: Arithmetic
) -> Stages:
    """Stages of a loaded Paraformer. ``digest``: of its files. ``threads``: as torch uses. ``timing``: for the LSTM
    that finds the times of words.

    Raises Unsupported for a model that the graphs don't cover, OSError when the graphs can't be written.
    """

    def session(part: str, bits: int, write: Callable[[Path], None]) -> Any:
        return open_graph(cache.obtain(_key(digest, part, bits), write), threads)

    bits = arithmetic.bits
    encoder = session("encoder", bits, lambda folder: write_encoder(model.encoder, folder, arithmetic))
    decoder = session("decoder", bits, lambda folder: write_decoder(model.decoder, folder, arithmetic))
    times: Any = None
    if hasattr(model.predictor, "cif_output2"):
        try:
            head = session("timestamps", timing.bits, lambda folder: write_timestamps(model.predictor, folder, timing))
            times = OnnxTimestampHead(head, int(model.predictor.upsample_times))
        except Unsupported:
            times = TorchTimestampHead(model)
    return Stages(OnnxEncoder(encoder, model.encoder), OnnxDecoder(decoder), times)


def onnx_encoder(encoder: Any, digest: str, cache: GraphCache, arithmetic: Arithmetic, threads: int) -> OnnxEncoder:
    """A SANM encoder alone; see ``onnx_stages``."""
    key = _key(digest, "encoder", arithmetic.bits)
    entry = cache.obtain(key, lambda folder: write_encoder(encoder, folder, arithmetic))
    return OnnxEncoder(open_graph(entry, threads), encoder)


def _key(digest: str, part: str, bits: int) -> Mapping[str, str | int]:
    return {"model": digest, "part": part, "bits": bits, "onnxruntime": onnxruntime.__version__}


def open_graph(entry: Path, threads: int) -> Any:
    """A session for a checked entry of the cache."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # as with torch's threads: spinning takes the cores from the workers beside us
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # lengths differ from call to call
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(str(entry / GRAPH), options, providers=["CPUExecutionProvider"])


class OnnxEncoder:
    """See encoders.Encoder."""

    def __init__(self, session: Any, encoder: Any) -> None:
        self._session = session
        self._scale = np.float32(encoder.output_size() ** 0.5)
        self._embed = encoder.embed
        self._positions: Floats = np.zeros((0, 0), dtype=np.float32)

    def __call__(self, features: Sequence[Floats]) -> torch.Tensor:
        """See encoders.Encoder."""
        hidden = [self._hidden(item) for item in features]
        batch = torch.zeros(len(hidden), max(map(len, hidden)), hidden[0].shape[1])
        for row, item in enumerate(hidden):
            batch[row, : len(item)] = torch.from_numpy(item)
        return batch

    def _hidden(self, features: Floats) -> Floats:
        found: Floats = self._session.run(None, {"embedded": self._embedded(features)})[0]
        if not np.isfinite(features).all():
            # integers have no way to say so
            found.fill(np.nan)
        return found

    def _embedded(self, features: Floats) -> Floats:
        """Scaled, with FunASR's own positions added in fp32."""
        frames, size = features.shape
        if len(self._positions) < frames:
            numbers = torch.arange(1, max(frames, 1_000) + 1)[None, :]
            self._positions = self._embed.encode(numbers, size, torch.float32)[0].numpy()
        embedded: Floats = features * self._scale + self._positions[:frames]
        return embedded


class OnnxDecoder:
    """See encoders.Decoder."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(
        self, hidden: torch.Tensor, lengths: torch.Tensor, acoustic: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See encoders.Decoder."""
        memory, tokens = hidden.numpy(), acoustic.numpy()
        scores, states = None, torch.zeros_like(acoustic)
        for row, (length, count) in enumerate(zip(lengths.tolist(), counts.tolist(), strict=True)):
            given = {"memory": memory[row, :length], "acoustic": tokens[row, :count]}
            found_states, found = self._session.run(["states", "scores"], given)
            if scores is None:
                scores = torch.zeros(len(memory), tokens.shape[1], found.shape[1])
            scores[row, :count] = torch.from_numpy(found)
            states[row, :count] = torch.from_numpy(found_states)
        assert scores is not None
        return scores, states


class OnnxTimestampHead:
    """See encoders.TimestampHead."""

    def __init__(self, session: Any, upsample_times: int) -> None:
        self._session = session
        self._times = upsample_times

    def __call__(self, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """See encoders.TimestampHead."""
        states = hidden.numpy()
        weights = torch.zeros(len(states), int(lengths.max()) * self._times)
        for row, length in enumerate(lengths.tolist()):
            found = self._session.run(None, {"hidden": states[row, :length]})[0]
            weights[row, : len(found)] = torch.from_numpy(found)
        return weights
