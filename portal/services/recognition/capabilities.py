"""What the model in use can do, for pages that offer only that. Never asked while a page waits for long.

Each process remembers what the engines said last and asks again, in a thread of its own, when that is ``FRESH_S`` old;
an engine that is away leaves the last answer standing. Only a process that never heard anything waits a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from portal.asr.engine.address import EngineAddress
from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import EngineStatus
from portal.asr.errors import AsrError
from portal.settings import Settings

FRESH_S: Final = 10.0
TIMEOUT_S: Final = 2.0
"""How long one engine may take to answer the thread."""
PATIENCE_S: Final = 0.3
"""How long the first page of a process waits for the first answer."""
_USUAL: Final = frozenset({"hotwords", "word_times", "punctuation"})

Ask = Callable[[EngineAddress], EngineStatus]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What every engine that answered can do (see ``contract.Capability``), and the languages all of them offer.

    ``known`` is false as long as no engine ever answered; then the usual things are offered, and what the model turns
    out not to do is said with the result.
    """

    capabilities: frozenset[str] = _USUAL
    languages: tuple[str, ...] = ()
    known: bool = False

    def can(self, name: str) -> bool:
        """Whether a page may offer ``name``."""
        return name in self.capabilities

    @property
    def hotwords(self) -> bool:
        """Whether hotwords change anything."""
        return self.can("hotwords")

    @property
    def speakers(self) -> bool:
        """Whether voices can be told apart."""
        return self.can("speakers")

    @property
    def choices_of_language(self) -> tuple[str, ...]:
        """Codes besides ``auto``; empty where the model decides alone."""
        return self.languages if self.can("language_choice") else ()


def common(statuses: Sequence[EngineStatus]) -> Abilities | None:
    """What all engines with loaded models share; None when there is none."""
    loaded = [status for status in statuses if status.capabilities]
    if not loaded:
        return None
    capabilities = frozenset.intersection(*(status.capabilities for status in loaded))
    languages = tuple(code for code in loaded[0].languages if all(code in status.languages for status in loaded))
    return Abilities(capabilities, languages, known=True)


class Watch:
    """The memory of one process for one set of engines."""

    def __init__(
        self, addresses: Sequence[EngineAddress], ask: Ask, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._addresses, self._ask, self._clock = tuple(addresses), ask, clock
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._next = float("-inf")
        self._seen = Abilities()

    def now(self) -> Abilities:
        """The last answer; asks for a newer one where that is due."""
        with self._lock:
            due = self._clock() >= self._next
            if due:
                self._next = self._clock() + FRESH_S
        if due:
            threading.Thread(target=self._look, name="abilities", daemon=True).start()
        self._answered.wait(PATIENCE_S)
        return self._seen

    def _look(self) -> None:
        statuses = []
        for address in self._addresses:
            try:
                statuses.append(self._ask(address))
            except AsrError:
                continue  # away for the moment: the others, or the last answer, speak for it
        self._seen = common(statuses) or self._seen
        self._answered.set()


_watches: dict[tuple[EngineAddress, ...], Watch] = {}
_watches_lock = threading.Lock()


def abilities(settings: Settings) -> Abilities:
    """What pages may offer right now."""
    addresses = settings.engine_addresses
    with _watches_lock:
        watch = _watches.setdefault(addresses, Watch(addresses, _status))
    return watch.now()


def _status(address: EngineAddress) -> EngineStatus:
    return EngineClient(address, timeout_s=TIMEOUT_S).status()
