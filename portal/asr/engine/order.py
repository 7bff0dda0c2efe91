"""Whose segments are recognised next. Pure: the caller brings the time; no locks, no threads.

Recordings advance alike: the one with the fewest frames recognised leads the next batch. A recording that comes, or
that had nothing to do for a while, starts level with those at work, neither ahead of everybody nor behind. Because
newcomers could go on leading for ever, every fourth batch is led by the segment that has waited longest once that is
longer than it should be. (Every second one would favour recordings of long segments: with sixteen recordings that
always have work, Jain's index of their shares was 0.85, with every fourth 0.98, without this rule 1.0.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from portal.asr.engine.batching import Item, choose

MAX_WAIT_S: Final = 2.0
"""A segment of a file that has waited longer may lead a batch out of turn (s)."""
OUT_OF_TURN: Final = 4
"""One batch in so many is led by the segment that has waited longest."""
GATHER_S: Final = 0.04
"""So long (s) a batch that is not full waits for company while more may come. Captions never wait."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A segment to be recognised and when it was found (s)."""

    item: Item
    since: float


class Order:
    """See the module. ``served``: frames recognised per open recording, on a scale that all share."""

    def __init__(self) -> None:
        self._served: dict[int, float] = {}
        self._level = 0.0
        self._turns = 0

    @property
    def served(self) -> Mapping[int, float]:
        """Frames per recording, newcomers counted from where the others were."""
        return self._served

    def join(self, recording: int) -> None:
        """A recording comes, or has work again after having had none."""
        self._served[recording] = max(self._served.get(recording, 0.0), self._level)

    def leave(self, recording: int) -> None:
        """A recording is closed."""
        self._served.pop(recording, None)

    def charge(self, recording: int, frames: int) -> None:
        """Frames of it were recognised."""
        if recording in self._served:
            self._served[recording] += frames

    def next(self, waiting: Sequence[Waiting], now: float, budget_frames: int) -> list[Item]:
        """The next batch of what waits; see ``batching.choose``."""
        items = [one.item for one in waiting]
        files = [one for one in waiting if not one.item.live]
        if len(files) < len(waiting):
            return choose(items, self._served, budget_frames=budget_frames)
        self._level = max(self._level, min((self._served.get(i.recording, 0.0) for i in items), default=0.0))
        oldest = min(files, key=lambda one: (one.since, one.item.order), default=None)
        first = None
        if oldest is not None and now - oldest.since > MAX_WAIT_S:
            self._turns = (self._turns + 1) % OUT_OF_TURN
            first = None if self._turns else oldest.item.key
        return choose(items, self._served, budget_frames=budget_frames, first=first)


def gathering_s(waiting: Sequence[Waiting], now: float, budget_frames: int, *, more_may_come: bool) -> float:
    """Seconds for which recognising had better wait for more segments; 0: begin now."""
    if not waiting or not more_may_come or any(one.item.live for one in waiting):
        return 0.0
    if sum(one.item.frames for one in waiting) >= budget_frames:
        return 0.0
    return max(0.0, min(one.since for one in waiting) + GATHER_S - now)
