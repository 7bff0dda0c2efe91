"""CSV that a spreadsheet shows and never runs.

RFC 4180 with a UTF-8 byte order mark (Excel needs it for Chinese). A cell that a spreadsheet would take for a formula
gets an apostrophe in front (OWASP, CSV injection), full-width forms and leading spaces included.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from portal.asr.types import Sentence
from portal.formats.text import clean, clock, label_of

_TRIGGERS = tuple("=+-@＝＋－＠")
_LEADING = ("\t", "\r", "\n", "\0")
HEADERS = ("开始", "结束", "说话人", "声道", "文字", "置信度", "语言", "情绪", "声音")


def safe_cell(value: str) -> str:
    """``value`` as a spreadsheet may see it: without control characters, never beginning like a formula."""
    shown = clean(value.replace("\r\n", "\n").replace("\r", "\n"))
    dangerous = value.startswith(_LEADING) or shown.lstrip().startswith(_TRIGGERS)
    return f"'{shown}" if dangerous else shown


def to_csv(
    sentences: Sequence[Sentence],
    *,
    headers: Sequence[str] = HEADERS,
    channels: Mapping[int, str] | None = None,
    tag: Callable[[str, str], str] = lambda kind, code: code,
) -> str:
    """One row a sentence: begin, end, speaker, channel (from 1), text, confidence, language, emotion, sounds.

    ``tag`` turns a kind (``language``, ``emotion``, ``event``) and a code into a word. Lines end with CR LF.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe_cell(header) for header in headers])
    for sentence in sentences:
        confidence = "" if sentence.confidence is None else f"{sentence.confidence:.3f}"
        writer.writerow(
            [
                clock(sentence.begin_ms, decimal="."),
                clock(sentence.end_ms, decimal="."),
                safe_cell(label_of(sentence, channels)),
                "" if sentence.channel is None else str(sentence.channel + 1),
                safe_cell(sentence.text),
                confidence,
                safe_cell(tag("language", sentence.language) if sentence.language else ""),
                safe_cell(tag("emotion", sentence.emotion) if sentence.emotion else ""),
                safe_cell(" ".join(tag("event", event) for event in sentence.events)),
            ]
        )
    return "\ufeff" + out.getvalue()
