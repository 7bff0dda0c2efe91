"""The transcript's pages: the document, its parts, the exports, and the honest page while there is no text."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.asr.engine.releases import Releases
from portal.asr.types import Substitution
from portal.models import State, Transcript, Transcription, TranscriptSentence, User
from portal.settings import MODELS_DIR
from tests.support.library import add_recording
from tests.support.world import World
from tests.web.staff.conftest import Seed


@pytest.fixture
def lin(world: World, client_of: Callable[[User], FlaskClient]) -> FlaskClient:
    """Lin's browser."""
    return client_of(world.lin)


def test_the_document(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, texts=["二十六号<冻结>。"], unsure=["六号"]).id)
    page = lin.get(f"/transcripts/{recording}").text
    assert '<span class="ui-unsure" title="机器不太确定">六号</span>&lt;冻结&gt;。' in page
    assert 'data-b="0" data-e="3600" data-w="0,1,0,' in page
    assert "这是演示模型的结果" in page
    assert "只有您自己" in page


def test_what_the_table_changed_is_shown_listed_and_exported(world: World, seed: Seed, lin: FlaskClient) -> None:
    made = Substitution(0, 900, "新<兰", "星澜", "7", 0, near=True)

    def fill(session: Session) -> uuid.UUID:
        used = [{"table_id": str(world.research.id), "name": "研发部", "version": 3}]
        options = {"itn": True, "channels": "mix", "replacements": used}
        recording = add_recording(session, world.lin, texts=["星澜很好。", "星澜。"], options=options)
        session.execute(sa.update(Transcript).values(substitution_count=1))
        first = session.scalars(sa.select(TranscriptSentence).where(TranscriptSentence.position == 0)).one()
        first.substitutions = [asdict(made)]
        return recording.id

    recording = seed(fill)
    page = lin.get(f"/transcripts/{recording}").text
    marked = '<span class="ui-written" title="听成：新&lt;兰；按替换表写成：星澜">星澜</span>很好。'
    assert page.count("ui-written") == 2  # the words, and the legend that explains the line
    assert marked in page
    assert "研发部，第 3 版" in page
    assert "改了 1 处" in page
    assert "<del>新&lt;兰</del> → <b>星澜</b>" in page
    exported = lin.get(f"/transcripts/{recording}/export/json").get_json(force=True)
    assert exported["sentences"][0]["substitutions"] == [
        {"heard": "新<兰", "written": "星澜", "by_sound": True, "word": 0, "begin_ms": 0, "end_ms": 900}
    ]
    assert exported["sentences"][1]["substitutions"] == []


def test_hotwords_that_the_model_of_this_run_could_not_spell(world: World, seed: Seed, lin: FlaskClient) -> None:
    digest = Releases(MODELS_DIR / "seaco", None).configured().digest
    model = {"name": "演示模型", "family": "SeacoParaformer", "digest": digest, "device": "cpu"}
    recording = seed(lambda s: add_recording(s, world.lin, model=model, hotwords=["今天", "朱镕基"]).id)
    page = lin.get(f"/transcripts/{recording}").text
    assert "有 1 个热词，这个模型拼不出来" in page
    assert '<p class="ui-break">朱镕基</p>' in page
    gone = seed(
        lambda s: add_recording(s, world.lin, "另一段", hotwords=["朱镕基"]).id
    )  # its model is not here any more
    assert "拼不出来" not in lin.get(f"/transcripts/{gone}").text


def test_ten_thousand_sentences_come_in_parts(world: World, seed: Seed, lin: FlaskClient) -> None:
    texts = [f"第{i}句。" for i in range(10_000)]
    recording = seed(lambda s: add_recording(s, world.lin, texts=texts).id)
    page = lin.get(f"/transcripts/{recording}").text
    assert page.count('class="ui-s"') == 300
    assert page.count('class="ui-part"') == 33
    part = lin.get(f"/transcripts/{recording}/sentences?first=9900").text
    assert part.count('class="ui-s"') == 100
    assert "第9999句。" in part


@pytest.mark.parametrize("first", ["", "x", "-1", "1e3", "٣", "99999999999"])
def test_broken_places_are_not_found(world: World, seed: Seed, lin: FlaskClient, first: str) -> None:
    recording = seed(lambda s: add_recording(s, world.lin).id)
    assert lin.get(f"/transcripts/{recording}/sentences?first={first}").status_code == 404


def test_sides_of_a_call(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, texts=["您好。", "喂。"], per_paragraph=1, split=True).id)
    page = lin.get(f"/transcripts/{recording}").text
    assert page.index("坐席</span>") < page.index("您好。") < page.index("客户</span>") < page.index("喂。")


def test_exports_carry_their_real_name(world: World, seed: Seed, lin: FlaskClient) -> None:
    title = '周会 "第1期"; 终稿'
    recording = seed(lambda s: add_recording(s, world.lin, title).id)
    answer = lin.get(f"/transcripts/{recording}/export/srt")
    assert answer.headers["Content-Disposition"] == (
        f"attachment; filename=\"transcript.srt\"; filename*=UTF-8''{quote(title + '.srt', safe='')}"
    )
    assert answer.headers["Content-Type"] == "application/x-subrip; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.text.startswith("1\n00:00:00,000 --> ")
    copied = lin.get(f"/transcripts/{recording}/export/txt?copy=1").headers
    assert "Content-Disposition" not in copied
    assert copied["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        (State.QUEUED, None, "正在排队"),
        (State.RUNNING, None, "正在识别"),
        (State.FAILED, "ASR_FAILED", "识别没有完成。"),
        (State.NO_SPEECH, "NO_SPEECH", "没有听到人说话。"),
        (State.NO_SPEECH, None, "没有听到人说话。"),
        (State.NOT_RECOGNISED, "NOT_RECOGNISED", "听到了声音，但没有识别出文字。"),
        (State.CANCELLED, "CANCELLED", "已取消。"),
    ],
)
def test_each_state_has_its_honest_page(
    world: World, seed: Seed, lin: FlaskClient, state: State, code: str | None, says: str
) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, state=state, error_code=code).id)
    page = lin.get(f"/transcripts/{recording}").text
    assert f"<h2>{says}</h2>" in page
    fragment = lin.get(f"/transcripts/{recording}/progress").text
    assert f'data-state="{state.value}"' in fragment
    assert lin.get(f"/transcripts/{recording}/export/txt").status_code == 409


def test_an_incomplete_file_says_so(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, warnings=["TRUNCATED_MEDIA"]).id)
    assert "文件不完整，只转写了能读出的部分。" in lin.get(f"/transcripts/{recording}").text


def test_what_the_engine_had_to_do_is_told_with_its_count(world: World, seed: Seed, lin: FlaskClient) -> None:
    told = ["OOM_SPLIT:3", "OOM_CPU:1", "SEGMENT_EMPTY:12"]
    recording = seed(lambda s: add_recording(s, world.lin, warnings=told).id)
    page = lin.get(f"/transcripts/{recording}").text
    assert "显存不足，有 3 个片段切开后才识别。" in page
    assert "显存不足，有 1 个片段改用 CPU 识别。" in page
    assert "有 12 处听到声音，但没有识别出文字。" in page
    assert "SEGMENT_EMPTY" not in page
    home = lin.get("/").text
    assert "有提示" in home
    assert "不完整" not in home


@pytest.mark.parametrize("path", ["", "/progress", "/sentences?first=0", "/export/txt"])
@pytest.mark.parametrize("who", ["wang", "zhao", "admin", "auditor"])
def test_strangers_see_nothing(
    world: World, seed: Seed, client_of: Callable[[User], FlaskClient], path: str, who: str
) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, "绝密会议").id)
    answer = client_of(world.person(who)).get(f"/transcripts/{recording}{path}")
    assert answer.status_code == (404 if who in ("wang", "zhao") else 403)
    assert "绝密" not in answer.text
    missing = client_of(world.person(who)).get(f"/transcripts/{uuid.uuid4()}{path}")
    assert missing.status_code == answer.status_code


def only_spans(session: Session, owner: User, count: int = 3) -> uuid.UUID:
    """A finished recording of which no text was wanted."""
    recording = add_recording(session, owner, "绝密电话", state=State.QUEUED, audio_ms=2_000 * count)
    row = session.scalars(sa.select(Transcription).where(Transcription.recording_id == recording.id)).one()
    row.state, row.options = State.DONE.value, {"itn": True, "channels": "mix", "result": "spans"}
    row.spans = [[2_000 * i, 2_000 * i + 1_500, None] for i in range(count)]
    return recording.id


def test_spans_have_a_page_of_their_own(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: only_spans(s, world.lin))
    page = lin.get(f"/transcripts/{recording}").text
    assert page.count('class="ui-s ui-span"') == 3
    assert "75 %" in page
    assert 'data-text="yes"' in lin.get(f"/transcripts/{recording}/progress").text
    answer = lin.get(f"/transcripts/{recording}/spans/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "2,00:00:02.000,00:00:03.500,1.500," in answer.text
    assert "Content-Disposition" not in lin.get(f"/transcripts/{recording}/spans/txt?copy=1").headers
    assert lin.get(f"/transcripts/{recording}/spans/exe").status_code == 404
    assert "只有时段" in lin.get("/").text
    assert "只有时段" in lin.get("/history").text


def test_many_spans_come_in_parts(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: only_spans(s, world.lin, 700))
    page = lin.get(f"/transcripts/{recording}").text
    assert page.count('class="ui-s ui-span"') == 300
    assert page.count('class="ui-part"') == 2
    part = lin.get(f"/transcripts/{recording}/spans?first=600").text
    assert part.count('class="ui-s ui-span"') == 100
    assert '<ol class="ui-spans" start="601">' in part
    assert lin.get(f"/transcripts/{recording}/spans?first=x").status_code == 404


@pytest.mark.parametrize("path", ["", "/spans?first=0", "/spans/csv"])
@pytest.mark.parametrize("who", ["wang", "admin", "auditor"])
def test_strangers_see_no_spans(
    world: World, seed: Seed, client_of: Callable[[User], FlaskClient], path: str, who: str
) -> None:
    recording = seed(lambda s: only_spans(s, world.lin))
    answer = client_of(world.person(who)).get(f"/transcripts/{recording}{path}")
    assert answer.status_code == (404 if who == "wang" else 403)
    assert "绝密" not in answer.text


def test_voices_and_tags_are_words(world: World, seed: Seed, lin: FlaskClient) -> None:
    def fill(session: Session) -> uuid.UUID:
        recording = add_recording(
            session, world.lin, texts=["您好。", "请讲。", "哈哈。"], warnings=["LANGUAGE_NOT_OFFERED"]
        )
        rows = session.scalars(sa.select(TranscriptSentence).order_by(TranscriptSentence.position)).all()
        for row, speaker, emotion in zip(rows, ("1", "1", "陈立"), ("neutral", "angry", "angry"), strict=True):
            row.speaker, row.emotion, row.language = speaker, emotion, "zh"
            row.words = [[text, None, None, sure] for text, _, _, sure in row.words]
        rows[2].events, rows[1].language = ["laughter", "speech"], "xx"
        return recording.id

    recording = seed(fill)
    page = lin.get(f"/transcripts/{recording}").text
    assert page.count("</span>说话人 1</span>") == 1
    assert "</span>陈立</span>" in page
    assert page.count(">生气</span>") == 2  # again where another person begins
    assert ">笑声</span>" in page
    assert ">xx</span>" in page
    assert "neutral" not in page
    assert 'data-w=""' in page
    assert "句子的时间是估计的" in page
    assert "不能指定这种语言" in page
    text = lin.get(f"/transcripts/{recording}/export/txt").text
    assert text == "说话人 1：您好。请讲。\n\n陈立：哈哈。\n"
    assert "生气,笑声" in lin.get(f"/transcripts/{recording}/export/csv").text
    assert '"speaker": "1"' in lin.get(f"/transcripts/{recording}/export/json").text


def test_the_details_say_how_the_text_was_made(world: World, seed: Seed, lin: FlaskClient) -> None:
    vad = {"preset": "custom", "max_segment_ms": 12_500, "end_silence_ms": 450, "threshold": 0.35}
    model = {"name": "会议模型", "family": "SeacoParaformer", "digest": "cd" * 32, "device": "cuda", "profile": "fast"}
    options = {"itn": True, "channels": "mix", "vad": vad, "language": "yue", "speakers": True, "speaker_count": 3}
    recording = seed(lambda s: add_recording(s, world.lin, options=options, model=model).id)
    page = lin.get(f"/transcripts/{recording}").text
    for said in ("cdcdcdcdcdcd</span>", "快速计算", "自定义", "一段最长 12.5 秒", "停 450 毫秒算一段", "人声阈值 0.35",
                 "粤语", "分开，共 3 位"):  # fmt: skip
        assert said in page
