"""Verifying on request: an auditor's button, the command line. The result is a row of the log itself."""

from __future__ import annotations

from sqlalchemy.orm import Session

from portal.services.audit.actions import Action
from portal.services.audit.chain import Verification
from portal.services.audit.log import record
from portal.services.audit.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission


def may_verify(actor: Actor) -> None:
    """Refuse everybody but auditors before the walk begins.

    Raises:
        Forbidden: the actor is no auditor.
    """
    need(actor, Permission.AUDIT_READ)


def record_verification(session: Session, actor: Actor, found: Verification) -> None:
    """Write down that the chain was walked and what was found."""
    record(
        session,
        actor,
        Action.AUDIT_VERIFY,
        result="ok" if found.ok else "failed",
        detail={
            "rows": found.count,
            "bad_seq": found.bad_seq,
            "problem": found.problem,
            "guards_missing": found.guards_missing,
        },
    )
