"""Effects that must wait for the commit: ringing RQ, for one. Dropped when the transaction is rolled back."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

_EFFECTS = "portal_after_commit"


def after_commit(session: Session, effect: Callable[[], None]) -> None:
    """Run ``effect`` once this session's transaction is committed. It must not raise and must not use the session."""
    session.info.setdefault(_EFFECTS, []).append(effect)


@event.listens_for(Session, "after_commit")
def _run(session: Session) -> None:
    if session.in_nested_transaction():
        return
    for effect in session.info.pop(_EFFECTS, []):
        effect()


@event.listens_for(Session, "after_soft_rollback")
def _drop(session: Session, previous: object) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_EFFECTS, None)
