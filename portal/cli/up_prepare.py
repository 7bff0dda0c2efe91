"""A step of ``portal up`` in a process of its own: migrations, set-up link, demonstration accounts.

Apart, because the supervisor stays small and loads neither Flask nor SQLAlchemy. The last line of its output is JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from flask import Flask

from portal.app import create_app
from portal.cli.user import create_demo_accounts, issue_setup_token
from portal.db import upgrade
from portal.settings import load_settings


def setup_path(app: Flask, token: str) -> str:
    """Path of the set-up page with its token."""
    with app.test_request_context():
        return app.url_for("identity.setup", token=token)


def main(arguments: list[str]) -> dict[str, Any]:
    """Do the work; returns what the terminal shows."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    settings = load_settings()
    upgrade(settings)
    app = create_app(settings)
    answer: dict[str, Any] = {}
    with app.app_context():
        if "--demo" in arguments:
            answer["accounts"] = create_demo_accounts(app)
        token = issue_setup_token(app)
    if token is not None:
        answer["setup_path"] = setup_path(app, token)
    return answer


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), ensure_ascii=False))
