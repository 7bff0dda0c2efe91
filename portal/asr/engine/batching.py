"""Which segments are recognised together. Pure: no clock, no threads, no torch.

Segments of different recordings share a batch when their lane and their hotword list are equal and their lengths are
close: padding costs as much as speech. The recording served least so far chooses the batch, so a twelve-hour recording
cannot keep a short one waiting; ``live`` goes before ``file``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MAX_WASTE: Final = 0.10
"""Largest share of a batch that may be padding."""
MAX_ITEMS: Final = 128


@dataclass(frozen=True, slots=True)
class Item:
    """A segment that waits: ``frames`` is its length in encoder frames, ``order`` counts arrivals. Only items of one
    ``digest`` share a batch: it stands for the models and everything in ``BatchOptions``."""

    key: int
    recording: int
    frames: int
    live: bool
    digest: str
    order: int
    alone: bool = False


def padded_frames(items: Sequence[Item]) -> int:
    """What the encoder computes for these items as one batch."""
    return max((item.frames for item in items), default=0) * len(items)


def waste(items: Sequence[Item]) -> float:
    """Share of padding in the batch (0..1)."""
    padded = padded_frames(items)
    return 1.0 - sum(item.frames for item in items) / padded if padded else 0.0


def choose(
    items: Sequence[Item],
    served: Mapping[int, float],
    *,
    budget_frames: int,
    max_waste: float = MAX_WASTE,
    first: int | None = None,
) -> list[Item]:
    """Return the next batch, longest first; empty only when ``items`` is.

    ``served`` maps a recording to the frames recognised for it so far. ``first``: key of an item that must be in the
    batch. It stays within ``budget_frames`` padded frames and ``max_waste`` unless it is one item that is larger alone.
    """
    if not items:
        return []
    leader = min(
        items, key=lambda item: (item.key != first, not item.live, served.get(item.recording, 0.0), item.order)
    )
    if leader.alone:
        return [leader]
    mates = [
        item
        for item in items
        if item.live == leader.live and item.digest == leader.digest and not item.alone and item.key != leader.key
    ]
    return _grow(leader, sorted(mates, key=lambda item: (item.frames, item.order)), budget_frames, max_waste)


def _grow(leader: Item, mates: Sequence[Item], budget: int, max_waste: float) -> list[Item]:
    """Add the mates nearest in length, shorter or longer, while the batch stays within its limits."""
    chosen = [leader]
    total, longest = leader.frames, leader.frames
    below = sum(1 for item in mates if item.frames <= leader.frames) - 1
    above = below + 1
    while len(chosen) < MAX_ITEMS and (below >= 0 or above < len(mates)):
        take_below = above >= len(mates) or (
            below >= 0 and leader.frames - mates[below].frames <= mates[above].frames - leader.frames
        )
        candidate = mates[below] if take_below else mates[above]
        below, above = (below - 1, above) if take_below else (below, above + 1)
        peak, size = max(longest, candidate.frames), len(chosen) + 1
        if peak * size > budget or 1.0 - (total + candidate.frames) / max(peak * size, 1) > max_waste:
            continue
        chosen.append(candidate)
        total, longest = total + candidate.frames, peak
    return sorted(chosen, key=lambda item: (-item.frames, item.order))


class Budget:
    """Frames one batch may hold: shrinks when memory ran out, grows back slowly after clean batches."""

    _FLOOR: Final = 250
    _CLEAN: Final = 50

    def __init__(self, frames: int) -> None:
        self._limit = max(frames, self._FLOOR)
        self.frames = self._limit
        self._clean = 0

    def shrink(self) -> None:
        """After out-of-memory: to 60 %."""
        self.frames = max(self._FLOOR, int(self.frames * 0.6))
        self._clean = 0

    def clean(self) -> None:
        """After a batch that fitted: by 10 % after every 50, up to the first limit."""
        self._clean += 1
        if self._clean >= self._CLEAN and self.frames < self._limit:
            self.frames = min(self._limit, int(self.frames * 1.1) + 1)
            self._clean = 0
