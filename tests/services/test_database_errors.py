"""What a failing statement says about itself: it goes into the logs, and logs hold no words and no secrets."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.db import create_engine
from portal.settings import Settings


def test_a_failing_statement_keeps_its_values_to_itself(session: Session, any_settings: Settings) -> None:
    """A full disk or a lock while a transcript is saved must not print the transcript."""
    engine = create_engine(any_settings)
    with engine.connect() as connection, pytest.raises(DBAPIError) as failure:
        connection.execute(sa.text("INSERT INTO nowhere (text) VALUES (:text)"), {"text": "机密会议的内容"})
    engine.dispose()
    assert "nowhere" in str(failure.value)
    assert "机密" not in str(failure.value)
