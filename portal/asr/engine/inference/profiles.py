"""Which arithmetic computes the recognition model, chosen once at start and proven on a known recording.

=============  ==========================================  ==========================================================
profile        on a CPU                                    on an NVIDIA card
=============  ==========================================  ==========================================================
``exact``      ``cpu-exact`` (below)                       torch fp32, TF32 off
``cpu-exact``  ONNX Runtime fp32                           not offered: ``exact`` runs, with a note
``fast``       ONNX Runtime int8 in all products           TF32 (fp16 factors before Ampere) in encoder and decoder
=============  ==========================================  ==========================================================

Whatever is not torch in fp32 is compared with torch in fp32 before anybody may use it (``self_check``). One that
differs more than its tolerance is refused, and the next more exact one takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from portal.asr.engine.contract import Profile
from portal.asr.engine.inference.building import Family, FamilyLimits, open_family
from portal.asr.engine.inference.encoders import Stages, torch_stages
from portal.asr.engine.inference.loading import Loaded, load
from portal.asr.engine.inference.recognition import Recogniser
from portal.asr.engine.inference.reduced import reduced_stages
from portal.asr.engine.inference.self_check import EXACT, FAST, Answer, Tolerance, answer, compare, sample_pieces
from portal.asr.engine.json_log import log

PARAFORMERS: Final = frozenset({"SeacoParaformer", "BiCifParaformer", "Paraformer"})
REFUSED: Final = "PROFILE_REFUSED"
UNAVAILABLE: Final = "PROFILE_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class ProfileWish:
    """What the settings ask for. ``cache``: folder for prepared graphs, None for a private one that is thrown away.

    ``checked=False`` takes a profile without proof: only for measuring speed with weights that mean nothing.
    """

    wanted: Profile = "exact"
    cache: Path | None = None
    checked: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """The recognition model, the profile it runs in, and a catalogue code when that is not the wanted one."""

    family: Family
    profile: Profile
    note: str | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A way to compute the stages. ``build`` returns them with what undoes the change, or None where it can't be had;
    ``settle`` runs once it is accepted."""

    profile: Profile
    tolerance: Tolerance
    build: Callable[[], tuple[Stages, Callable[[], None]] | None]
    settle: Callable[[], None]


def open_profiled(
    directory: Path, family: str, device: str, limits: FamilyLimits, *, digest: str, wish: ProfileWish
) -> Opened:
    """Load the recognition model and take the best profile that was wished for and passes. Raises ModelError.

    ``digest``: of the model's files, as its manifest says. Families other than Paraformer run in ``exact`` only.
    """
    if family not in PARAFORMERS:
        note = None if wish.wanted == "exact" else UNAVAILABLE
        return Opened(open_family(directory, family, device, limits), "exact", note)
    loaded = load(directory, device)
    exact = Recogniser(loaded, device, torch_stages(loaded.model, device))
    candidates = _candidates(loaded, exact, device, digest, wish)
    note = None if candidates or wish.wanted == "exact" else UNAVAILABLE
    pieces = sample_pieces(directory) if candidates and wish.checked else []
    reference = answer(loaded.model, exact, pieces) if pieces else None
    for candidate in candidates:
        built = _built(candidate)
        if built is None:
            note = note or UNAVAILABLE
            continue
        stages, undo = built
        recogniser = Recogniser(loaded, device, stages)
        if reference is None or _passes(candidate, reference, answer(loaded.model, recogniser, pieces)):
            candidate.settle()
            return Opened(recogniser, candidate.profile, None if candidate.profile == wish.wanted else note)
        undo()
        note = REFUSED
    return Opened(exact, "exact", note)


def _candidates(loaded: Loaded, exact: Recogniser, device: str, digest: str, wish: ProfileWish) -> list[_Candidate]:
    """Fastest first; none where torch in fp32 is what was wished for, or all there is."""
    if device == "cpu":
        whole = _on_onnx(loaded, digest, wish, "cpu-exact")
        if wish.wanted != "fast":
            return [whole]
        # where integers move times too far, only the small part that finds them goes back to fp32
        return [
            _on_onnx(loaded, digest, wish, "fast"),
            _on_onnx(loaded, digest, wish, "fast", exact_times=True),
            whole,
        ]
    if device == "cuda" and wish.wanted == "fast":
        card = torch.cuda.get_device_capability()
        return [_Candidate("fast", FAST, lambda: reduced_stages(exact.stages, loaded.model, card), _nothing)]
    return []


def _on_onnx(
    loaded: Loaded, digest: str, wish: ProfileWish, profile: Profile, *, exact_times: bool = False
) -> _Candidate:
    def build() -> tuple[Stages, Callable[[], None]]:
        # imported here: a GPU needs neither
        from portal.asr.engine.inference.onnx_cache import GraphCache
        from portal.asr.engine.inference.onnx_graph import Arithmetic
        from portal.asr.engine.inference.onnx_stages import integer_bits, onnx_stages

        arithmetic = Arithmetic(32 if profile == "cpu-exact" else integer_bits())
        timing = Arithmetic() if exact_times else arithmetic
        threads = torch.get_num_threads()
        with closing(GraphCache(wish.cache)) as cache:
            return onnx_stages(loaded.model, digest, cache, arithmetic, threads, timing=timing), _nothing

    def settle() -> None:
        # torch's copy of what the graphs now hold is half of the memory
        loaded.model.encoder.to("meta")
        for name, part in loaded.model.decoder.named_children():
            # hotwords are embedded by the decoder's own table
            if name != "embed":
                part.to("meta")

    return _Candidate(profile, EXACT if profile == "cpu-exact" else FAST, build, settle)


def _nothing() -> None:
    """Nothing has to be undone or settled."""


def _built(candidate: _Candidate) -> tuple[Stages, Callable[[], None]] | None:
    """The candidate's stages, or None where model, disk or card don't allow them: a slower profile then serves."""
    try:
        return candidate.build()
    except Exception as error:
        # onnxruntime raises errors of many kinds; none of them is a reason not to start
        log("profile_unavailable", profile=candidate.profile, error=type(error).__name__, detail=str(error)[:200])
        return None


def _passes(candidate: _Candidate, exact: Answer, other: Answer) -> bool:
    difference = compare(exact, other)
    passed = difference.within(candidate.tolerance)
    log(
        "profile_checked",
        profile=candidate.profile,
        passed=passed,
        log_probability=round(difference.log_probability, 7) if np.isfinite(difference.log_probability) else None,
        characters=round(difference.characters, 4),
        time_ms=difference.time_ms,
    )
    return passed
