"""What an RQ worker does up to the sentences, without a database: decode, push, take segments, ask for marks.

A child of ``portal bench engine``: several of these stand for the workers of a busy hour, each with a few recordings
under way.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from portal.asr.audio import decode
from portal.asr.engine.client import EngineClient, RecordingOptions
from portal.asr.engine.inference.benchmark.lines import Handler, serve
from portal.asr.punctuation import Punctuator
from portal.asr.segmentation import WordStream
from portal.asr.sentences import render


class Client:
    """Recordings through the engine at ``socket``, ``threads`` at a time."""

    def __init__(self, socket: Path, threads: int) -> None:
        self._engine = EngineClient(socket, timeout_s=120.0)
        self._pool = ThreadPoolExecutor(threads)

    def files(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """``paths``, ``repeat`` times over, with the given ``options`` of ``RecordingOptions``."""
        options = RecordingOptions(**request["options"])
        paths = [Path(path) for path in request["paths"]] * int(request["repeat"])
        wall, cpu, decoding = time.perf_counter(), time.process_time(), _children_cpu()
        results = list(self._pool.map(lambda path: self._one(path, options), paths))
        return {
            "results": results[: len(request["paths"])],
            "latencies": [result["seconds"] for result in results],
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "decode_cpu": _children_cpu() - decoding,
        }

    def _one(self, path: Path, options: RecordingOptions) -> dict[str, Any]:
        begun = time.perf_counter()
        segments, words, marked = [], WordStream(), []
        with decode(path) as blocks, self._engine.open(options=options) as recording:
            punctuator = Punctuator(recording.punctuate)
            for block in blocks:
                recording.push(block.channels[0])
                segments += (arrived := recording.poll())
                marked += punctuator.push(words.push(arrived))
            recording.finish()
            for segment in recording.results():
                segments.append(segment)
                marked += punctuator.push(words.push([segment]))
            marked += punctuator.finish()
            speech_ms = recording.speech_ms
        return {
            "segments": [
                {
                    "span": [segment.begin_ms, segment.end_ms],
                    "words": [word.text for word in segment.words],
                    "times": [[word.begin_ms, word.end_ms] for word in segment.words],
                }
                for segment in segments
            ],
            "text": render([word for word, _ in marked], [mark for _, mark in marked]),
            "speech_seconds": speech_ms / 1000,
            "seconds": time.perf_counter() - begun,
        }


def _children_cpu() -> float:
    """CPU seconds of the decoders that have ended: each is a process of its own."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run as ``python -m portal.cli.benchmarks.client``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()

    def build() -> Mapping[str, Handler]:
        return {"files": Client(options.socket, options.threads).files}

    return serve(build)


if __name__ == "__main__":
    sys.exit(main())
