"""Pages of the wing transcripts."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("transcripts", __name__)
