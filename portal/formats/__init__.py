"""Transcripts as files: pure functions from sentences to text. Word and Excel files are made elsewhere."""

from portal.formats.json_format import sentence_object, to_json
from portal.formats.spans import SPAN_HEADERS, covered_ms, spans_csv, spans_json, spans_txt
from portal.formats.subtitles import Cue, cues_of, to_srt, to_vtt
from portal.formats.tables import safe_cell, to_csv
from portal.formats.text import clean, clock, label_of, to_txt

__all__ = [
    "SPAN_HEADERS",
    "Cue",
    "clean",
    "clock",
    "covered_ms",
    "cues_of",
    "label_of",
    "safe_cell",
    "sentence_object",
    "spans_csv",
    "spans_json",
    "spans_txt",
    "to_csv",
    "to_json",
    "to_srt",
    "to_txt",
    "to_vtt",
]
