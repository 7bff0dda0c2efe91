"""Pages of the wing workspace."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("workspace", __name__)
