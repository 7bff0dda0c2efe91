"""``python -m portal.asr.engine.server``: the engine with the real models.

Imports neither Flask nor SQLAlchemy nor Redis, and torch only once the files of every model are proven to be the
recorded ones.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from portal.asr.engine.backend import Backend
from portal.asr.engine.json_log import log
from portal.asr.engine.listening import add_arguments, remote_of
from portal.asr.engine.manifest import manifest_for, verify
from portal.asr.engine.releases import RealModels, Releases
from portal.asr.engine.scheduler import MAX_QUEUED_S, MAX_RECORDINGS
from portal.asr.engine.service import Service, ServiceSettings, allowed_uids
from portal.asr.errors import ModelError
from portal.asr.types import ModelInfo

_REFUSED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Check the models, then serve. Exit status: 0 drained, 2 refused to start, 3 failed, 70 device lost, 75 hang."""
    options = _parser().parse_args(argv)
    try:
        remote = remote_of(options)
    except ValueError as error:
        log("engine_refused", code="ENGINE_SOCKET", detail=str(error))
        return _REFUSED
    # proof against names that reach a hub: there is none to reach
    os.environ.update({"HF_HUB_OFFLINE": "1", "MODELSCOPE_OFFLINE": "1"})
    # torch's threads spin while they wait for each other; beside busy workers on the same cores that took three
    # times the time. Read when torch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    directories = {"vad": options.vad.resolve()}
    if options.punc is not None:
        directories["punc"] = options.punc.resolve()
    if options.speaker is not None:
        directories["speaker"] = options.speaker.resolve()
    models = RealModels(Releases(options.asr, options.installed, options.current), lambda *it: _load(options, *it))
    try:
        for role, path in directories.items():
            _prove(role, path, options.installed)
        models.prove_start()
        model = models.at_start()
    except ModelError as error:
        log("engine_refused", code=error.code, detail=error.detail)
        return _REFUSED
    settings = ServiceSettings(
        options.socket,
        allowed_uids(options.allow_uid),
        drain_s=options.drain_s,
        stall_s=options.stall_s,
        idle_unload_s=60.0 * options.idle_unload_minutes,
        canary_idle_s=60.0 * options.canary_minutes,
        cpu_rescue=options.cpu_rescue,
        max_recordings=options.max_recordings,
        max_queued_s=60.0 * options.max_queued_minutes,
        remote=remote,
    )
    try:
        return Service(settings, models, model).run()
    except OSError as error:
        log("engine_refused", code="ENGINE_SOCKET", detail=str(error))
        return _REFUSED


def _load(options: argparse.Namespace, folder: Path, model: ModelInfo) -> Backend:
    from portal.asr.engine.inference.building import FamilyLimits
    from portal.asr.engine.inference.models import FunasrModels
    from portal.asr.engine.inference.profiles import ProfileWish

    return FunasrModels(
        folder,
        options.vad.resolve(),
        None if options.punc is None else options.punc.resolve(),
        device=options.device,
        threads=options.threads,
        model=model,
        limits=FamilyLimits(options.nano_max_length, options.nano_batch),
        speaker=None if options.speaker is None else options.speaker.resolve(),
        wish=ProfileWish(options.profile, options.graphs, options.checked),
        memory_fraction=options.memory_fraction,
    )


def _prove(role: str, directory: Path, installed: Path | None) -> None:
    manifest = manifest_for(directory, installed)
    if manifest.role != role:
        detail = f"{directory} holds {manifest.family}, not a model for {role}"
        raise ModelError("MODEL_FAMILY_REFUSED", detail, family=manifest.family)
    verify(directory, manifest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m portal.asr.engine.server", description="The recognition engine.")
    add_arguments(parser)
    parser.add_argument("--asr", type=Path, required=True, help="recognition model")
    parser.add_argument("--vad", type=Path, required=True, help="voice-activity model")
    parser.add_argument("--punc", type=Path, help="punctuation model; without it texts stay bare")
    parser.add_argument("--speaker", type=Path, help="model of voice prints; without it nobody is told apart")
    parser.add_argument("--nano-max-length", type=int, default=512, help="tokens Fun-ASR-Nano may write for a segment")
    parser.add_argument("--nano-batch", type=int, default=8, help="segments Fun-ASR-Nano writes at a time")
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument("--profile", choices=("exact", "fast", "cpu-exact"), default="exact", help="arithmetic")
    parser.add_argument("--graphs", type=Path, help="folder for prepared ONNX graphs; default: one that is thrown away")
    parser.add_argument(
        "--unchecked-profile",
        dest="checked",
        action="store_false",
        help="take the profile without comparing it with fp32: only to measure speed with weights that mean nothing",
    )
    parser.add_argument("--allow-uid", type=int, nargs="*", default=[], help="users that may call, besides the own")
    parser.add_argument("--installed", type=Path, help="registry of confirmed models (installed.json)")
    parser.add_argument("--current", type=Path, help="file that remembers a switch of models over restarts")
    parser.add_argument("--memory-fraction", type=float, default=1.0, help="most of a CUDA device's memory (0..1)")
    parser.add_argument("--idle-unload-minutes", type=float, default=0.0, help="unload when idle for so long; 0: never")
    parser.add_argument("--canary-minutes", type=float, default=5.0, help="idle self-check after so long; 0: never")
    parser.add_argument(
        "--no-cpu-rescue", dest="cpu_rescue", action="store_false", help="fail what finds no memory on the device"
    )
    parser.add_argument("--max-recordings", type=int, default=MAX_RECORDINGS, help="open at once; then: busy")
    parser.add_argument("--max-queued-minutes", type=float, default=MAX_QUEUED_S / 60, help="audio that may wait")
    parser.add_argument("--drain-s", type=float, default=20.0, help="patience after SIGTERM")
    parser.add_argument("--stall-s", type=float, default=60.0, help="a turn of the models longer than this is a hang")
    return parser


if __name__ == "__main__":
    sys.exit(main())
