"""Which weights a benchmark runs: the shipped ones, full-size random ones, or a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from portal.asr.engine.manifest import Registry, inspect
from portal.asr.errors import ModelError
from portal.cli.benchmarks import speech
from portal.cli.benchmarks.processes import environment
from portal.settings import MODELS_DIR

SHIPPED, RANDOM_FULL = "shipped", "random-full"
_RECIPE = "portal.asr.engine.inference.benchmark.weights"


@dataclass(frozen=True, slots=True)
class Models:
    """Directories of the three models and the registry that vouches for them. ``random``: what they write means
    nothing, so a profile can't be proven by it."""

    asr: Path
    vad: Path
    punc: Path
    installed: Path
    random: bool = False


def resolve(weights: str, cache: Path, work: Path, threads: int) -> Models:
    """The models for ``--weights``.

    Args:
        weights: ``shipped``, ``random-full``, or a folder with ``asr`` (or ``seaco``), ``vad`` and ``punc`` in it.
        cache: where random models are kept between runs (2.2 GB).
        work: a folder of this run, for the registry.

    Raises:
        ClickException: the folder lacks a model, or holds one that the portal refuses.
    """
    if weights == SHIPPED:
        folder = MODELS_DIR
    elif weights == RANDOM_FULL:
        folder = cache / RANDOM_FULL
        _build(folder, work, threads)
    else:
        folder = Path(weights).resolve()
    found = {role: _folder(folder, names) for role, names in _NAMES.items()}
    installed = _vouch(list(found.values()), work)
    return Models(found["asr"], found["vad"], found["punc"], installed, (folder / "recipe.json").is_file())


_NAMES = {"asr": ("asr", "seaco"), "vad": ("vad",), "punc": ("punc",)}


def _folder(folder: Path, names: tuple[str, ...]) -> Path:
    found = next((folder / name for name in names if (folder / name).is_dir()), None)
    if found is None:
        raise click.ClickException(f"{folder} holds no folder {' or '.join(names)}")
    return found


def _vouch(folders: list[Path], work: Path) -> Path:
    """A registry of this run: the person who names a folder on the command line answers for it."""
    registry = work / "installed.json"
    for directory in folders:
        try:
            found, manifest = inspect(directory)
        except ModelError as error:
            raise click.ClickException(f"{directory}: {error.detail or error.code}") from None
        Registry(registry).record(found, manifest, datetime.now(UTC).isoformat(timespec="seconds"))
    return registry


def _build(folder: Path, work: Path, threads: int) -> None:
    """Make the random models unless this recipe made them before."""
    if _made_by(folder) == _version():
        return
    click.echo(f"Making full-size random models in {folder} (once, 2.2 GB) …", err=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    sound = work / "calibration.wav"
    speech.write_wav(sound, speech.recording(speech.utterances(), 40.0, 1))
    argv = [sys.executable, "-m", _RECIPE, str(folder), str(sound), str(MODELS_DIR), "--threads", str(threads)]
    done = subprocess.run(argv, env=environment(threads), capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException("the random models could not be made: " + done.stderr.strip()[-300:])


def _made_by(folder: Path) -> int | None:
    try:
        return int(json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return None


def _version() -> int:
    from portal.asr.engine.inference.benchmark.recipe import VERSION

    return VERSION
