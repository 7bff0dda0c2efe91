"""Putting rows into the application's database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from portal.db import db

Seed = Callable[[Callable[[Session], Any]], Any]


@pytest.fixture
def seed(app: Flask) -> Seed:
    """``seed(lambda session: …)``: run with a session, commit, give back what it returned."""

    def run(fill: Callable[[Session], Any]) -> Any:
        with app.app_context():
            found = fill(db.session())
            db.session.commit()
            return found

    return run
