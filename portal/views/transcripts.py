"""The transcript: read it as a document, hear it, take it away."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext

from portal.asr.vocabulary import Unspellable
from portal.db import db
from portal.errors import NotFound
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.http.tag_words import language_name, speaker_name, tag_name
from portal.services.hotwords.vocabulary import unspellable
from portal.services.identity.permissions import Permission
from portal.services.recognition import progress
from portal.services.transcripts import exports, reading, spans
from portal.services.transcripts.document import paragraphs

bp = Blueprint("transcripts", __name__, url_prefix="/transcripts")


def _channels() -> dict[int, str]:
    return {0: gettext("坐席"), 1: gettext("客户")}


@bp.get("/<uuid:recording_id>")
@requires(Permission.TRANSCRIBE)
def show(recording_id: uuid.UUID) -> str:
    """The document; or, while there is no text, what is going on and what to do."""
    session, actor = db.session(), current_actor()
    found = reading.open_transcript(session, actor, recording_id)
    if found.spans_only:
        return _spans_page(found)
    if found.transcript is None:
        return render_template("transcripts/waiting.html", reading=found, item=_item(found))
    shown = paragraphs(reading.sentences(session, found.transcript))
    return render_template(
        "transcripts/show.html",
        reading=found,
        paragraphs=shown,
        timed=any(sentence.word_places for paragraph in shown for sentence in paragraph.sentences),
        changes=reading.changes_by_table(session, found.transcript),
        unspellable=_unspellable(found),
        parts=reading.later_parts(session, found.transcript),
        channels=_channels(),
    )


def _unspellable(found: reading.Reading) -> tuple[Unspellable, ...]:
    """Hotwords of this run that its model can't spell; nothing where that model is gone."""
    run = found.transcription
    if run is None or not run.hotwords or not run.model:
        return ()
    return unspellable(current_settings(), run.hotwords, digest=str(run.model.get("digest", "")))


def _spans_page(found: reading.Reading) -> str:
    """When somebody spoke: the page of a recording of which no text was wanted."""
    speech = spans.spans_for(db.session(), current_actor(), found.recording.id)
    return render_template(
        "transcripts/spans.html",
        reading=found,
        speech=speech,
        lanes=[(channel, spans.timeline(speech.of(channel), speech.audio_ms)) for channel in speech.channels],
        columns=spans.COLUMNS,
        first=0,
        rows=speech.spans[: spans.SPANS_PER_PART],
        starts=range(spans.SPANS_PER_PART, len(speech.spans), spans.SPANS_PER_PART),
        channels=_channels(),
    )


@bp.get("/<uuid:recording_id>/progress")
@requires(Permission.TRANSCRIBE, reads=True)
def live(recording_id: uuid.UUID) -> str:
    """The state of a recording that has no text yet, for its page to bring itself up to date."""
    found = reading.get_for(db.session(), current_actor(), recording_id)
    return render_template("transcripts/_state.html", reading=found, item=_item(found))


@bp.get("/<uuid:recording_id>/sentences")
@requires(Permission.TRANSCRIBE)
def part(recording_id: uuid.UUID) -> str:
    """A later part of a long document."""
    rows = reading.read_part(db.session(), current_actor(), recording_id, _first())
    return render_template("transcripts/_paragraphs.html", paragraphs=paragraphs(rows), channels=_channels())


@bp.get("/<uuid:recording_id>/spans")
@requires(Permission.TRANSCRIBE)
def spans_part(recording_id: uuid.UUID) -> str:
    """A later part of a long list of spans."""
    first = _first()
    speech = spans.spans_for(db.session(), current_actor(), recording_id)
    rows = speech.spans[first : first + spans.SPANS_PER_PART]
    return render_template("transcripts/_spans.html", rows=rows, first=first, channels=_channels())


@bp.get("/<uuid:recording_id>/spans/<file_format>")
@requires(Permission.TRANSCRIBE)
def export_spans(recording_id: uuid.UUID, file_format: str) -> Response:
    """The spans as a file."""
    headers = (gettext("序号"), gettext("开始"), gettext("结束"), gettext("秒"), gettext("声道"))
    copied = request.args.get("copy") == "1"
    wording = exports.Wording(_channels(), headers)
    return _file(
        spans.export_spans(db.session(), current_actor(), recording_id, file_format, wording, copied=copied), copied
    )


@bp.get("/<uuid:recording_id>/export/<file_format>")
@requires(Permission.TRANSCRIBE)
def export(recording_id: uuid.UUID, file_format: str) -> Response:
    """The text as a file."""
    headers = (
        *(gettext("开始"), gettext("结束"), gettext("说话人"), gettext("声道"), gettext("文字"), gettext("置信度")),
        *(gettext("语言"), gettext("情绪"), gettext("声音")),
    )
    copied = request.args.get("copy") == "1"
    made = exports.export(
        db.session(),
        current_actor(),
        recording_id,
        file_format,
        exports.Wording(_channels(), headers, speaker_name, _tag),
        copied=copied,
    )
    return _file(made, copied)


def _tag(kind: str, code: str) -> str:
    return language_name(code) if kind == "language" else tag_name(code)


def _first() -> int:
    """Where the asked-for part begins. Raises NotFound for anything that is no place."""
    first = request.args.get("first", "")
    if not first.isascii() or not first.isdigit() or len(first) > 9:
        raise NotFound
    return int(first)


def _file(made: exports.Export, copied: bool) -> Response:
    response = Response(made.content, content_type=f"{made.mimetype}; charset=utf-8")
    if not copied:
        response.headers["Content-Disposition"] = _attachment(made.file_name)
    return response


def _attachment(name: str) -> str:
    """RFC 6266: a plain name for old programs, the real one beside it."""
    extension = name.rpartition(".")[2]
    return f"attachment; filename=\"transcript.{extension}\"; filename*=UTF-8''{quote(name, safe='')}"


def _item(found: reading.Reading) -> Any:
    if found.transcription is None:
        return None
    return progress.item_for(db.session(), current_actor(), found.transcription.id)
