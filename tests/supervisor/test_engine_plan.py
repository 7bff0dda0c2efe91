"""Whoever starts an engine tells it of the same models: ``portal up`` and the private one of ``portal transcribe``."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.cli import transcribe_engine
from portal.settings import Settings
from portal.supervisor.plans import engine_plan


@pytest.mark.parametrize(
    ("setting", "argument"),
    [
        ({"engine_memory_fraction": 0.5}, "0.5"),
        ({"engine_profile": "fast"}, "fast"),
        ({"engine_nano_batch": 3}, "3"),
        ({"speaker_model": Path("/srv/campplus")}, "/srv/campplus"),
    ],
)
def test_every_engine_is_told_of_its_models(tmp_path: Path, setting: dict[str, object], argument: str) -> None:
    usual, changed = Settings(instance=tmp_path), Settings(instance=tmp_path, **setting)  # type: ignore[arg-type]
    socket = tmp_path / "engine.sock"
    for before, after in (
        (engine_plan(usual).argv, engine_plan(changed).argv),
        (transcribe_engine._command(usual, socket), transcribe_engine._command(changed, socket)),
    ):
        assert argument in after
        assert argument not in before
