"""What the pages of the browser tests show: a person with much in every state."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import Recording, State, User
from tests.support.library import MEETING, add_recording

LONG_NAME = (
    "董事会扩大会议二〇二六年三季度经营分析与四季度重点工作部署暨安全生产专题会主会场现场录音第一部分未剪辑版本甲"
)

TALK = (
    *MEETING,
    "我补充一点，如果要接总部的统一目录，部门的层级最多有七层，界面上不能全部铺开，最好是搜索加最近使用。",
    "我这边的压力主要在联调，测试环境只有一套，跟移动端抢着用。",
    "如果接口能在二十六号之前冻结，我们可以保证月底提测。",
    "接口冻结就定二十六号，不再往后。",
    "启明把字段清单今天发出来，周敏你们明天中午之前反馈，没有反馈就当同意。",
    "对，客服每天大概三百六十通录音，现在是人工听写，抽检只能做到百分之五。",
    "如果能全部转写，我们想先跑两周，看看漏检率。",
    "技术上没问题，工单号放在文件名里就可以带进来。",
)


def fill(session: Session, owner: User) -> dict[str, Recording]:
    """Two dozen recordings: finished, running, waiting, and each kind of failure."""
    now = utcnow()
    made = {
        "talk": add_recording(session, owner, "星澜项目需求评审（第二轮）", texts=TALK, unsure=["六号", "三百六十"]),
        "call": add_recording(
            session,
            owner,
            "售后热线抽检",
            texts=["您好，这里是售后。", "我的设备连不上网。", "请问指示灯是什么颜色？", "一直是红色的。"],
            per_paragraph=1,
            split=True,
            created_at=now - timedelta(hours=3),
        ),
        "long": add_recording(
            session, owner, LONG_NAME, texts=TALK, name=LONG_NAME + ".m4a", created_at=now - timedelta(days=1)
        ),
        "queued": add_recording(session, owner, "华南区门店走访", state=State.QUEUED, audio_ms=4_120_000),
        "running": add_recording(
            session,
            owner,
            "三季度经营分析会",
            state=State.RUNNING,
            audio_ms=7_080_000,
            done_ms=2_535_000,
            latest_text="所以权限这块先按部门走，个人共享放到下一期。",
            created_at=now - timedelta(minutes=3),
        ),
        "failed": add_recording(
            session,
            owner,
            "一楼大会议室周会",
            state=State.FAILED,
            error_code="ATTEMPTS_EXHAUSTED",
            error_params={"attempts": 3},
            finished_at=now,
        ),
        "no_speech": add_recording(
            session, owner, "空会议室", state=State.NO_SPEECH, error_code="NO_SPEECH", finished_at=now
        ),
        "not_recognised": add_recording(
            session, owner, "年会暖场音乐", state=State.NOT_RECOGNISED, error_code="NOT_RECOGNISED", finished_at=now
        ),
        "cancelled": add_recording(
            session, owner, "传错的文件", state=State.CANCELLED, error_code="CANCELLED", finished_at=now
        ),
    }
    for i in range(24):
        title = f"星澜项目周例会 第 {31 - i} 期"
        add_recording(session, owner, title, created_at=now - timedelta(days=2 + i * 7))
    return made
