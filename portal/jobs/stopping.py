"""A process that was told to end: it takes nothing new, and what runs gets a moment to finish."""

from __future__ import annotations

import threading
import time


class Stopping:
    """Set from a signal handler, read from the work."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._since = 0.0

    def ask(self) -> None:
        """Somebody wants this process to end."""
        if not self._event.is_set():
            self._since = time.monotonic()
            self._event.set()

    @property
    def asked(self) -> bool:
        """Whether nothing new may be begun."""
        return self._event.is_set()

    def over(self, grace_s: float) -> bool:
        """Whether what runs must be given up now."""
        return self._event.is_set() and time.monotonic() - self._since >= grace_s

    def wait(self, seconds: float) -> bool:
        """Sleep, or wake early; whether to end."""
        return self._event.wait(seconds)


process = Stopping()
"""Of this process; the worker's signal handler asks it."""
