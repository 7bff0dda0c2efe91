"""How a long computation says that it goes on. Free of torch.

A turn of the models that lasts too long is taken for a hang. A model that writes its text token by token may need
longer than that honestly; it calls ``beat`` at each step. Used in the model thread only.
"""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def listen(heard: Callable[[], None]) -> None:
    """Have ``heard`` called at each beat, instead of what was called before."""
    _listeners[:] = [heard]


def beat() -> None:
    """One step is done and the next begins."""
    for heard in _listeners:
        heard()
