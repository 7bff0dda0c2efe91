"""When somebody spoke, as files: a label track for Audacity, a table, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from portal.asr.types import SpeechSpan
from portal.formats.tables import safe_cell
from portal.formats.text import clock

SPAN_HEADERS = ("序号", "开始", "结束", "秒", "声道")


def covered_ms(spans: Iterable[SpeechSpan]) -> int:
    """Milliseconds in which at least one span speaks."""
    total = reached = 0
    for span in sorted(spans, key=lambda span: span.begin_ms):
        total += max(0, span.end_ms - max(span.begin_ms, reached))
        reached = max(reached, span.end_ms)
    return total


def spans_txt(spans: Sequence[SpeechSpan], *, channels: Mapping[int, str] | None = None) -> str:
    """Audacity's label track: ``begin<TAB>end<TAB>label`` in seconds, the label a number and who speaks."""
    lines = []
    for number, span in enumerate(spans, 1):
        who = f" {_channel(span, channels)}".rstrip()
        lines.append(f"{span.begin_ms / 1000:.3f}\t{span.end_ms / 1000:.3f}\t{number}{who}\n")
    return "".join(lines)


def spans_csv(
    spans: Sequence[SpeechSpan], *, headers: Sequence[str] = SPAN_HEADERS, channels: Mapping[int, str] | None = None
) -> str:
    """One row a span: number, begin, end, length (s), channel. UTF-8 with a byte order mark; lines end with CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe_cell(header) for header in headers])
    for number, span in enumerate(spans, 1):
        times = (clock(span.begin_ms, decimal="."), clock(span.end_ms, decimal="."))
        length = f"{(span.end_ms - span.begin_ms) / 1000:.3f}"
        writer.writerow([str(number), *times, length, safe_cell(_channel(span, channels))])
    return "\ufeff" + out.getvalue()


def spans_json(spans: Sequence[SpeechSpan], *, audio_ms: int, speech_ms: int) -> str:
    """``audio_seconds``, ``speech_seconds`` (a moment counts once), ``share`` (0..1) and ``spans`` in ms."""
    content = {
        "audio_seconds": round(audio_ms / 1000, 3),
        "speech_seconds": round(speech_ms / 1000, 3),
        "share": round(min(1.0, speech_ms / audio_ms), 4) if audio_ms else 0.0,
        "spans": [{"begin_ms": s.begin_ms, "end_ms": s.end_ms, "channel": s.channel} for s in spans],
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _channel(span: SpeechSpan, channels: Mapping[int, str] | None) -> str:
    if span.channel is None:
        return ""
    return (channels or {}).get(span.channel, str(span.channel + 1))
