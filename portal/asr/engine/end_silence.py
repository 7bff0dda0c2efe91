"""How long a silence ends a span of speech: always as long, or by FunASR's schedule. Free of torch.

The schedule waits the shorter the longer somebody has spoken, so that segments stay of a length that the recognition
model knows. It looks up only when FunASR reads the next chunk of a recording, and so it does here.
"""

from __future__ import annotations

from typing import Final

FRAME_MS: Final = 10
SCHEDULE: Final = ((10_000, 2_000), (20_000, 1_000), (30_000, 800), (40_000, 600), (50_000, 400), (60_000, 200))
"""(speech has lasted up to ms, silence that ends it in ms): FunASR's schedule for whole recordings."""
_SCHEDULE_END: Final = 100
SCHEDULE_THRESHOLD: Final = 0.5
"""Where the schedule rules, FunASR sets ``speech_noise_thres`` to this, whatever the model says."""
LONGEST_SILENCE_MS: Final = SCHEDULE[0][1]
CHUNK_MS: Final = 60_000
"""The schedule acts between chunks of this length, in which FunASR reads a recording."""
_SAMPLES_PER_MS: Final = 16


class EndSilence:
    """Milliseconds of silence that end a span, beside the ``window_ms`` in which silence is noticed.

    ``fixed`` None: they follow the schedule, chunk by chunk. ``context``: frames after a frame that the network looks
    at, so that the last ones of a chunk are judged with the next.
    """

    def __init__(self, fixed: int | None, window_ms: int, context: int, chunk_ms: int) -> None:
        self._fixed = fixed
        self._window = window_ms
        self._chunk_ms = chunk_ms
        # whole frames of 25 ms in the first chunk whose context is in it, too
        self._first_edge = (chunk_ms - 25) // FRAME_MS + 1 - context
        self._lasted = 0
        self._speaking = False
        self._closed = False
        self._chunk = 0
        self.ms = 0
        self._set()

    @property
    def next_edge(self) -> int:
        """Frame at which the next chunk begins."""
        return self._first_edge + self._chunk * self._chunk_ms // FRAME_MS

    def reached(self, samples: int) -> bool:
        """Whether the next chunk exists in a recording of so many samples."""
        return self._fixed is None and samples >= (self._chunk + 1) * self._chunk_ms * _SAMPLES_PER_MS

    def closed(self) -> None:
        """A span ended in this chunk."""
        self._closed = True

    def enter_chunk(self, speaking: bool) -> None:
        """The next chunk begins, in the middle of speech or not."""
        self._chunk += 1
        if self._closed:
            self._lasted, self._speaking, self._closed = 0, False, False
        if speaking or self._speaking:
            self._lasted += self._chunk_ms
            self._speaking = True
        self._set()

    def _set(self) -> None:
        wanted = self._fixed
        if wanted is None:
            wanted = next((silence for limit, silence in SCHEDULE if self._lasted <= limit), _SCHEDULE_END)
        self.ms = max(wanted - self._window, 0)
