"""The recognition model once more, on the CPU, for segments that find no memory on the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from portal.asr.engine.inference.building import Family
from portal.asr.engine.json_log import log

_WEIGHTS: Final = "model.pt"


class Spare:
    """Loads on first use and stays until it is forgotten. ``directory``: where the model in use was loaded from."""

    def __init__(self, directory: Path, load: Callable[[], Family]) -> None:
        self._weights = directory / _WEIGHTS
        self._load = load
        self._proven = self._print()
        self._family: Family | None = None

    def family(self) -> Family:
        """The model on the CPU. Raises RuntimeError when the files are not those any more that were proven at the
        start: a transcript must not mix two models."""
        if self._print() != self._proven:
            raise RuntimeError("the model's files have changed since they were loaded")
        if self._family is None:
            log("cpu_copy_loading")
            self._family = self._load()
        return self._family

    def forget(self) -> None:
        """Free its memory; the next use loads it again."""
        self._family = None

    def _print(self) -> tuple[int, int, int] | None:
        try:
            facts = self._weights.stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_size, facts.st_mtime_ns
