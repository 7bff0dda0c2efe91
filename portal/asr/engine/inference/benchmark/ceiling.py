"""The ceiling: only encoder and decoder, only full batches without a frame of padding. A child of the benchmark.

Nothing that recognises can be faster with this arithmetic; an engine's share of it says what everything else costs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from portal.asr.engine.inference.benchmark.lines import Handler, serve
from portal.asr.engine.inference.loading import load

_TOKENS_PER_FRAME: Final = 0.27
"""Spoken Mandarin: about 4.5 characters per second, 16.7 encoder frames per second."""


class Ceiling:
    """fp32 as FunASR computes it (no TF32), on the given device."""

    def __init__(self, asr: Path, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._device = device
        self._loaded = load(asr, device)
        frontend = self._loaded.config.get("frontend_conf") or {}
        self._width = int(frontend.get("n_mels", 80)) * int(frontend.get("lfr_m", 1))

    @torch.inference_mode()
    def measure(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """Batches of segments of ``frames`` encoder frames, ``budget`` frames each, for at least ``seconds``.

        Answers with seconds of wall and of CPU per encoder frame (60 ms of speech).
        """
        frames = max(int(request["frames"]), 2)
        size = max(1, int(request["budget"]) // frames)
        features = torch.randn(size, frames, self._width, device=self._device)
        acoustic = torch.randn(size, max(1, round(frames * _TOKENS_PER_FRAME)), 1, device=self._device)
        self._batch(features, acoustic)
        done, wall, cpu = 0, time.perf_counter(), time.process_time()
        while done < 2 * size * frames or time.perf_counter() - wall < float(request["seconds"]):
            self._batch(features, acoustic)
            done += size * frames
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"wall_per_frame": wall / done, "cpu_per_frame": cpu / done, "frames": done, "batch": [size, frames]}

    def _batch(self, features: torch.Tensor, acoustic: torch.Tensor) -> None:
        model = self._loaded.model
        lengths = torch.full((features.size(0),), features.size(1), device=self._device)
        hidden, _ = model.encode(features, lengths)
        counts = torch.full((features.size(0),), acoustic.size(1), device=self._device)
        model.decoder(hidden, lengths, acoustic * hidden[:, :1, :], counts)
        if self._device == "cuda":
            torch.cuda.synchronize()


def main() -> int:
    """Run as ``python -m portal.asr.engine.inference.benchmark.ceiling``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--asr", type=Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()

    def build() -> Mapping[str, Handler]:
        return {"measure": Ceiling(options.asr, options.device, options.threads).measure}

    return serve(build)


if __name__ == "__main__":
    sys.exit(main())
