"""Which arithmetic computes the punctuation model: it follows the profile in which recognition runs.

On a CPU ``cpu-exact`` takes ONNX Runtime in fp32 and ``fast`` in int8. Like recognition, each is first compared with
torch in fp32: on a known text every mark has to be the same, and with ``cpu-exact`` the log-probabilities nearly so.
Otherwise the next more exact one serves. Everything else is torch in fp32.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from portal.asr.engine.contract import Profile
from portal.asr.engine.inference.encoders import Encoder
from portal.asr.engine.inference.loading import Loaded, load
from portal.asr.engine.inference.profiles import ProfileWish
from portal.asr.engine.inference.punctuation import PunctuationJob, Punctuator
from portal.asr.engine.inference.self_check import EXACT, FAST
from portal.asr.engine.json_log import log
from portal.asr.engine.manifest import digest_of_files, fact_of

_SHIPPED: Final = Path(__file__).parents[2] / "models" / "sample.txt"
_TOLERANCES: Final = {"cpu-exact": EXACT, "fast": FAST}
_MARKS: Final = re.compile(r"[，。？、\s]")
_MODEL_FILES: Final = ("config.yaml", "model.pt")


@dataclass(frozen=True, slots=True)
class Marked:
    """What one way made of the known text: a mark or '' for each word of each job, and log-probabilities (n, marks)."""

    marks: tuple[tuple[str, ...], ...]
    probabilities: torch.Tensor

    @property
    def says_something(self) -> bool:
        """Whether there is more than the full stop that every text gets at its end."""
        return any(mark for job in self.marks for mark in job[:-1])


def open_punctuator(directory: Path, device: str, profile: Profile, wish: ProfileWish) -> Punctuator:
    """Load the punctuation model in ``directory``. ``profile``: in which recognition runs. Raises ModelError."""
    loaded = load(directory, device)
    exact = Punctuator(loaded, device)
    if device != "cpu":
        return exact
    order: dict[Profile, tuple[Profile, ...]] = {"fast": ("fast", "cpu-exact"), "cpu-exact": ("cpu-exact",)}
    reference: Marked | None = None
    for name in order.get(profile, ()):
        encoder = _on_onnx(loaded, name, wish)
        if encoder is None:
            continue
        found = Punctuator(loaded, device, encoder)
        if wish.checked:
            reference = reference or marked(exact)
        if reference is None or _passes(name, reference, marked(found)):
            # torch's copy of what the graph now holds is half of the memory
            loaded.model.encoder.to("meta")
            return found
    return exact


def _on_onnx(loaded: Loaded, name: Profile, wish: ProfileWish) -> Encoder | None:
    """None where model or disk don't allow it: torch then serves."""
    try:
        # imported here: a GPU needs neither
        from portal.asr.engine.inference.onnx_cache import GraphCache
        from portal.asr.engine.inference.onnx_graph import Arithmetic
        from portal.asr.engine.inference.onnx_stages import integer_bits, onnx_encoder

        arithmetic = Arithmetic(32 if name == "cpu-exact" else integer_bits())
        digest = digest_of_files({file: fact_of(loaded.directory / file) for file in _MODEL_FILES})
        with closing(GraphCache(wish.cache)) as cache:
            return onnx_encoder(loaded.model.encoder, digest, cache, arithmetic, torch.get_num_threads())
    except Exception as error:
        # onnxruntime raises errors of many kinds; none of them is a reason not to start
        log("punctuation_unavailable", profile=name, error=type(error).__name__, detail=str(error)[:200])
        return None


def marked(punctuator: Punctuator) -> Marked:
    """The known text and a later part of it, in step."""
    words = list(_MARKS.sub("", _SHIPPED.read_text(encoding="utf-8")))
    jobs = [punctuator.begin(words), punctuator.begin(words[len(words) // 3 :])]
    scores = punctuator.scores([jobs[0].window()])[0]
    _finish(punctuator, jobs)
    return Marked(tuple(tuple(job.marks) for job in jobs), torch.log_softmax(scores, dim=-1))


def _finish(punctuator: Punctuator, jobs: Sequence[PunctuationJob]) -> None:
    while waiting := [job for job in jobs if not job.done]:
        punctuator.step(waiting)


def _passes(name: Profile, exact: Marked, other: Marked) -> bool:
    """Whether ``other`` may stand for ``exact``; never where nothing was marked, for that proves nothing."""
    away = float((exact.probabilities - other.probabilities).abs().max())
    most = _TOLERANCES[name].log_probability
    same = exact.says_something and exact.marks == other.marks
    # written so that what is not a number fails
    passed = same and away < float("inf") and (most is None or away <= most)
    log("punctuation_checked", profile=name, passed=passed, same_marks=exact.marks == other.marks)
    return passed
