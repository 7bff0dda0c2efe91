"""A small world of named people that tests speak about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.http.signed_in import cookie_name, token_hash
from portal.models import Department, Role, User, UserSession
from portal.services.identity.actor import Actor, actor_of


@dataclass
class World:
    """Two departments, three everyday people, one administrator, one auditor. Nobody has a password."""

    research: Department
    market: Department
    lin: User  # staff, research
    wang: User  # staff, research
    zhao: User  # staff, market
    admin: User
    auditor: User

    def person(self, name: str) -> User:
        """By attribute name."""
        user = getattr(self, name)
        assert isinstance(user, User)
        return user


def make_user(session: Session, login: str, name: str, role: Role, department: Department | None = None) -> User:
    """A local person."""
    user = User(
        kind="local",
        login=login,
        login_key=f"local:{login}",
        display_name=name,
        role=role.value,
        department_id=department.id if department else None,
        created_at=utcnow(),
    )
    session.add(user)
    session.flush()
    return user


def make_world(session: Session) -> World:
    """Add everybody; the caller commits."""
    research, market = Department(name="研发部"), Department(name="市场部")
    session.add_all([research, market])
    session.flush()
    return World(
        research,
        market,
        make_user(session, "lin", "林晓雯", Role.STAFF, research),
        make_user(session, "wang", "王启明", Role.STAFF, research),
        make_user(session, "zhao", "赵敏", Role.STAFF, market),
        make_user(session, "admin", "管理员", Role.ADMIN),
        make_user(session, "auditor", "审计员", Role.AUDITOR),
    )


def actor(user: User) -> Actor:
    """The person acting from a test address."""
    return actor_of(user, address="192.0.2.1", request_id="TEST-0001", session_hash="ab" * 8)


def sign_in(client: FlaskClient, session: Session, user: User) -> None:
    """Give the client a live session of ``user``, without the sign-in page."""
    token = f"test-token-{user.login}-{utcnow().timestamp()}"
    session.add(
        UserSession(
            token_hash=token_hash(token),
            user_id=user.id,
            expires_at=utcnow() + timedelta(hours=8),
            address="127.0.0.1",
        )
    )
    session.commit()
    client.set_cookie(cookie_name(secure=False), token)
