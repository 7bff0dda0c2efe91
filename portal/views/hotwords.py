"""Pages of the wing hotwords."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("hotwords", __name__)
