"""FunASR as everybody uses it: one ``AutoModel``, one file after the other. A child of ``portal bench engine``.

``files``: whole recordings through ``AutoModel.generate`` (VAD, recognition, punctuation). ``spans``: given spans of a
recording, each recognised alone: the text reference for any way of cutting.
"""

from __future__ import annotations

import argparse
import sys
import time
import wave
from collections.abc import Mapping
from typing import Any

import numpy as np

from portal.asr.engine.inference.benchmark.lines import Handler, serve


class Stock:
    """The models, loaded by FunASR itself from local directories."""

    def __init__(self, asr: str, vad: str, punc: str, device: str, threads: int) -> None:
        import torch
        from funasr import AutoModel

        self._torch = torch
        self._cuda = device == "cuda"
        self._model = AutoModel(
            model=asr,
            vad_model=vad,
            punc_model=punc,
            device=device,
            ncpu=threads,
            disable_update=True,
            disable_pbar=True,
            disable_log=True,
            log_level="ERROR",
        )

    def files(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """``paths`` in order, ``batch_size_s`` seconds per batch (FunASR takes segments singly on a CPU)."""
        results: list[dict[str, Any]] = []
        wall, cpu = time.perf_counter(), time.process_time()
        for path in request["paths"]:
            begun = time.perf_counter()
            found = self._model.generate(input=path, batch_size_s=request["batch_size_s"], return_raw_text=True)
            # FunASR answers with an empty list where it recognised nothing
            first: dict[str, Any] = found[0] if found else {"text": ""}
            results.append(
                {
                    "words": str(first.get("raw_text") or first["text"]).split(),
                    "times": [list(map(int, pair)) for pair in first.get("timestamp") or []],
                    "text": first["text"],
                    "seconds": time.perf_counter() - begun,
                }
            )
        figures = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return {"results": results, **figures, "gpu_peak_mib": self._gpu_peak()}

    def spans(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """Each of ``spans`` (begin_ms, end_ms) of ``path`` (16 kHz mono WAV) alone: words and their times in ms."""
        with wave.open(request["path"]) as sound:
            assert sound.getframerate() == 16_000, "spans are cut from 16 kHz recordings"
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
        samples = pcm.astype(np.float32) / 32768.0
        model = self._model
        model._reset_runtime_configs()
        results = []
        for begin, end in request["spans"]:
            piece = self._torch.from_numpy(samples[begin * 16 : end * 16].copy())
            found = model.inference([piece], model=model.model, kwargs=model.kwargs)
            first: dict[str, Any] = found[0] if found else {"text": ""}
            times = [[int(b) + begin, int(e) + begin] for b, e in first.get("timestamp") or []]
            results.append({"words": str(first["text"]).split(), "times": times})
        return {"results": results}

    def _gpu_peak(self) -> int | None:
        return self._torch.cuda.max_memory_reserved() >> 20 if self._cuda else None


def main() -> int:
    """Run as ``python -m portal.asr.engine.inference.benchmark.stock``."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--asr", "--vad", "--punc", "--device"):
        parser.add_argument(name, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()

    def build() -> Mapping[str, Handler]:
        stock = Stock(options.asr, options.vad, options.punc, options.device, options.threads)
        return {"files": stock.files, "spans": stock.spans}

    return serve(build)


if __name__ == "__main__":
    sys.exit(main())
