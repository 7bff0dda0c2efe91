"""What people are told about hotwords before an upload, and about replaced words in a transcript."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from portal.asr.types import Substitution
from portal.models import Transcript, TranscriptSentence
from tests.browser.conftest import Site, Visit, axe, photograph, sideways
from tests.support.library import MEETING, add_recording

DRESSES: dict[str, dict[str, Any]] = {
    "1440-light": {"width": 1440},
    "390-dark-en": {"width": 390, "height": 844, "theme": "dark", "language": "en"},
}


def test_unusable_words_are_named_while_they_are_chosen(visit: Callable[..., Visit], site: Site) -> None:
    seen = visit(site.newcomer("hints", "提示"))
    page = seen.open("/")
    page.locator(".ui-chip--add").click()
    page.locator("#hotwords").fill("朱镕基 今天")
    expect(page.locator("#spelling")).to_contain_text("“朱镕基”：模型里没有")
    photograph(page, "hints-spelling")
    assert axe(page) == []
    page.locator("#hotwords").fill(" ".join(f"词{number}" for number in range(201)))
    expect(page.locator("#spelling")).to_contain_text("热词太多（201 个，最多 200 个）")
    page.locator("#hotwords").fill("今天")
    expect(page.locator("#spelling .ui-note")).to_have_count(0)
    assert seen.complaints == []


def _replaced(session: Session, site: Site) -> uuid.UUID:
    used = [{"table_id": str(site.world.research.id), "name": "研发部", "version": 6}]
    options = {"itn": True, "channels": "mix", "replacements": used, "hotword_strength": "careful"}
    row = add_recording(session, site.world.lin, "替换过的会议", texts=MEETING, unsure=["结论"], options=options)
    session.execute(sa.update(Transcript).where(Transcript.recording_id == row.id).values(substitution_count=2))
    of_it = sa.select(Transcript.id).where(Transcript.recording_id == row.id).scalar_subquery()
    for position, heard, written in ((1, "新兰", "星澜"), (3, "法物", "法务")):
        found = sa.select(TranscriptSentence).where(
            TranscriptSentence.transcript_id == of_it, TranscriptSentence.position == position
        )
        sentence = session.scalars(found).one()
        words = "".join(str(spoken[0]) for spoken in sentence.words)
        made = Substitution(4000 * position, 4000 * position + 500, heard, written, "7", words.index(written))
        sentence.substitutions = [asdict(made)]
    return row.id


@pytest.fixture(scope="module")
def replaced(site: Site) -> uuid.UUID:
    """A transcript in which the table wrote two words."""
    made: uuid.UUID = site.seed(lambda session: _replaced(session, site))
    return made


@pytest.mark.parametrize("dress", DRESSES)
def test_replaced_words_are_marked_and_listed(
    visit: Callable[..., Visit], site: Site, replaced: uuid.UUID, dress: str
) -> None:
    seen = visit(site.world.lin, **DRESSES[dress])
    page = seen.open(f"/transcripts/{replaced}")
    marked = page.locator(".ui-said .ui-written")
    expect(marked).to_have_text(["星澜", "法务"])
    page.locator(".ui-changes summary").click()
    expect(page.locator(".ui-changes li")).to_have_count(2)
    photograph(page, f"hints-replaced-{dress}", whole=True)
    assert axe(page) == []
    assert sideways(page) <= 0
    assert seen.complaints == []
