"""For supervisors and load balancers: is this process alive, and can it serve."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from portal.db import db
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.services.identity.permissions import Permission
from portal.services.integrations.readiness import check_all

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@requires(Permission.PUBLIC, reads=True)
def alive() -> Response:
    """This process answers."""
    return jsonify(ok=True)


@bp.get("/readyz")
@requires(Permission.PUBLIC, reads=True)
def ready() -> tuple[Response, int]:
    """The database, Redis and the engine answer; 503 names those that don't."""
    checks = check_all(db.engine, current_settings())
    ok = all(checks.values())
    return jsonify(ok=ok, checks=checks), 200 if ok else 503
