"""FunASR's own AutoModel as the reference for the families, and the way of the engine to the same samples."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portal.asr.engine.backend import Recognised
from portal.asr.engine.inference.features import FRAME_SAMPLES, HOP_SAMPLES, filter_banks
from portal.asr.engine.inference.loading import import_funasr


def reference(folder: Path, modules: Sequence[str], **options: Any) -> Any:
    """AutoModel over a directory; ``modules``: those of FunASR that it needs."""
    import_funasr(modules)
    importlib.import_module("funasr.frontends.wav_frontend")
    from funasr.auto.auto_model import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):
        return AutoModel(
            model=str(folder), device="cpu", disable_update=True, disable_pbar=True, disable_log=True, ncpu=1, **options
        )


def generate(model: Any, samples: np.ndarray, **options: Any) -> dict[str, Any]:
    """AutoModel's answer for one segment."""
    with contextlib.redirect_stdout(io.StringIO()):
        [result] = model.generate(input=samples.astype(np.float32) / 32768.0, **options)
    return dict(result)


def frames_of(samples: np.ndarray) -> np.ndarray:
    """Filter banks as the engine gives them to a family."""
    count = (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES + 1
    return filter_banks(samples[: (count - 1) * HOP_SAMPLES + FRAME_SAMPLES].astype(np.int16))


def flat(text: str) -> str:
    """Text without tags and spaces, marks in one width: what two writings of it have in common."""
    text = re.sub(r"<\|[^|]*\|>|\s", "", text)
    return text.translate(str.maketrans("。？！，；：", ".?!,;:"))


def flat_result(result: Recognised | None) -> str:
    """The same of a result."""
    assert result is not None
    marks = result.marks or ("",) * len(result.words)
    return flat("".join(word.text + mark for word, mark in zip(result.words, marks, strict=True)))
