"""One request, one transaction: committed before the answer leaves; error handlers roll it back first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response
from sqlalchemy.orm import Session

from portal.db import db, writing


@contextmanager
def short_transaction() -> Iterator[Session]:
    """A writing transaction on a session of its own, committed at the end.

    For steps that must be on disk before something slow happens (a sign-in attempt is counted before the directory is
    asked). End the request's own transaction first (``db.session.rollback()``): on SQLite two writers of one request
    would wait for each other.
    """
    with writing(), Session(db.engine, expire_on_commit=False) as session, session.begin():
        yield session


def init_app(app: Flask) -> None:
    """Commit after every request. Must be registered last: ``after_request`` hooks run in reverse order."""

    @app.after_request
    def commit(response: Response) -> Response:
        try:
            db.session.commit()
        except BaseException:  # another answer goes out: nobody else closes the files of this one
            response.close()
            raise
        return response
