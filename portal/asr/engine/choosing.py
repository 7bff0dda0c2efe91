"""Which turn the models take next. No locks, no threads: the scheduler's lock guards it, the caller brings the time.

Live captions go first; then batches as soon as enough speech has gathered for a full one, or nothing is left to hear;
hearing goes round the recordings so that short and long ones advance alike. Whose segments a batch is built of, says
``order``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from portal.asr.engine.order import Order, Waiting, gathering_s
from portal.asr.engine.recording import Recording
from portal.asr.engine.turns import Listen, Punctuate, Recognise, Turn

_STEPS_TOGETHER: Final = 32


class Choosing:
    """See the module. ``recordings``: the open ones, by number; hearing moves one to the end.

    ``gather_s``: seconds for which the last choice wants to wait for a fuller batch; 0: it does not wait.
    """

    def __init__(self, recordings: OrderedDict[int, Recording]) -> None:
        self._recordings = recordings
        self._punctuated_last = False
        self.order = Order()
        self.gather_s = 0.0

    def next(self, now: float, budget_frames: int, *, draining: bool) -> Turn | None:
        """The next turn; None when there is nothing to do, or not yet (``gather_s``)."""
        self.gather_s = 0.0
        recordings = list(self._recordings.values())
        rows = [
            Waiting(segment.item, segment.since)
            for recording in recordings
            for segment in recording.waiting.values()
            if segment.result is None
        ]
        listeners = [r for r in recordings if r.wants_to_listen() and (r.finished or not draining)]
        live = [r for r in listeners if r.live]
        if live:
            return self._listen(live)
        if any(row.item.live for row in rows):
            return self._batch(rows, now, budget_frames)
        asking = [r for r in recordings if r.questions or r.punctuations]
        if asking and not (self._punctuated_last and (rows or listeners)):
            self._punctuated_last = True
            return Punctuate(asking[:_STEPS_TOGETHER])
        self._punctuated_last = False
        if listeners and sum(row.item.frames for row in rows) < 2 * budget_frames:
            return self._listen(listeners)
        # none once every recording is complete or the engine is shutting down
        more = not draining and any(not r.finished and not r.ended for r in recordings)
        self.gather_s = gathering_s(rows, now, budget_frames, more_may_come=more)
        return self._batch(rows, now, budget_frames) if rows and not self.gather_s else None

    def _listen(self, recordings: list[Recording]) -> Listen:
        backend = recordings[0].backend
        together = [recording for recording in recordings if recording.backend is backend]
        pieces: list[tuple[Recording, bytes, bool]] = []
        for recording in together[: backend.hears_together]:
            self._recordings.move_to_end(recording.number)
            pieces.append((recording, *recording.take_piece()))
        return Listen(pieces)

    def _batch(self, rows: list[Waiting], now: float, budget_frames: int) -> Recognise:
        chosen = self.order.next(rows, now, budget_frames)
        owners = [self._recordings[item.recording] for item in chosen]
        return Recognise(
            [(owner, item.key, owner.waiting[item.key]) for owner, item in zip(owners, chosen, strict=True)]
        )
