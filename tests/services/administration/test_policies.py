"""Policy: defaults, validation, versions, conflicts, the smaller limit wins."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import Forbidden, PortalError
from portal.models import AuditEvent
from portal.services.administration import effective_recording_max_hours, effective_upload_max_bytes, get_policy
from portal.services.administration.policies import PolicyName, history, set_policy
from portal.settings import Settings
from tests.support.world import World, actor

GB = 1024**3


def test_defaults_until_somebody_decides(session: Session, any_settings: Settings) -> None:
    assert get_policy(session, "default_itn") is True
    assert get_policy(session, "default_channels") == "mix"
    assert get_policy(session, "announcement") == ""
    assert effective_upload_max_bytes(session, any_settings) == any_settings.upload_max_bytes
    assert effective_recording_max_hours(session, any_settings) == any_settings.recording_max_hours


def test_each_change_is_a_version_with_its_author(session: Session, people: World, any_settings: Settings) -> None:
    who = actor(people.admin)
    set_policy(session, who, any_settings, "default_itn", "0", expected_version=0)
    set_policy(session, who, any_settings, "default_itn", "0", expected_version=1)  # nothing new
    set_policy(session, who, any_settings, "default_itn", True, expected_version=1)
    session.commit()
    assert [(item.version, item.value, item.changed_by) for item in history(session, "default_itn")] == [
        (2, True, "管理员"), (1, False, "管理员"),
    ]  # fmt: skip
    rows = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert [(row.object_id, row.detail) for row in rows] == [
        ("default_itn", {"version": 1, "before": True, "after": False}),
        ("default_itn", {"version": 2, "before": False, "after": True}),
    ]


def test_two_administrators_do_not_overwrite_each_other(
    session: Session, people: World, any_settings: Settings
) -> None:
    set_policy(session, actor(people.admin), any_settings, "default_channels", "split", expected_version=0)
    with pytest.raises(PortalError, match="CONFLICT"):
        set_policy(session, actor(people.admin), any_settings, "default_channels", "mix", expected_version=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_itn", "yes"), ("default_channels", "left"), ("announcement", "长" * 201), ("upload_max_bytes", "1.5"),
        ("upload_max_bytes", 1), ("upload_max_bytes", 99 * GB), ("recording_max_hours", "nan"),
        ("recording_max_hours", "inf"), ("recording_max_hours", 0), ("recording_max_hours", 13),
    ],
)  # fmt: skip
def test_odd_values_are_refused(
    session: Session, people: World, any_settings: Settings, name: PolicyName, value: object
) -> None:
    with pytest.raises(PortalError, match="INVALID_VALUE"):
        set_policy(session, actor(people.admin), any_settings, name, value, expected_version=0)


def test_limits_only_become_narrower(session: Session, people: World, any_settings: Settings) -> None:
    who = actor(people.admin)
    set_policy(session, who, any_settings, "upload_max_bytes", GB, expected_version=0)
    set_policy(session, who, any_settings, "recording_max_hours", "3.5", expected_version=0)
    assert effective_upload_max_bytes(session, any_settings) == GB
    assert effective_recording_max_hours(session, any_settings) == 3.5
    smaller = any_settings.model_copy(update={"upload_max_bytes": 1000, "recording_max_hours": 1.0})
    assert effective_upload_max_bytes(session, smaller) == 1000
    assert effective_recording_max_hours(session, smaller) == 1.0
    set_policy(session, who, any_settings, "upload_max_bytes", "", expected_version=1)
    assert effective_upload_max_bytes(session, any_settings) == any_settings.upload_max_bytes


def test_the_log_does_not_quote_the_announcement(session: Session, people: World, any_settings: Settings) -> None:
    set_policy(session, actor(people.admin), any_settings, "announcement", "今晚 22 点\n维护", expected_version=0)
    assert get_policy(session, "announcement") == "今晚 22 点 维护"
    event = session.scalars(sa.select(AuditEvent)).one()
    assert event.detail == {"version": 1, "before": {"characters": 0}, "after": {"characters": 10}}


def test_only_administrators(session: Session, people: World, any_settings: Settings) -> None:
    for name in ("lin", "auditor"):
        with pytest.raises(Forbidden):
            set_policy(session, actor(people.person(name)), any_settings, "default_itn", "0", expected_version=0)
