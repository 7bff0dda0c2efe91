"""One request, one transaction: committed before the answer leaves; error handlers roll it back first."""

from __future__ import annotations

from flask import Flask, Response

from portal.db import db


def init_app(app: Flask) -> None:
    """Commit after every request. Must be registered first: ``after_request`` hooks run in reverse order."""

    @app.after_request
    def commit(response: Response) -> Response:
        db.session.commit()
        return response
