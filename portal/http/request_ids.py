"""A short number for every request: in the answer's header, on every error page, in every audit and log row."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letters that people confuse when they read the number out on the telephone."""


def new_request_id() -> str:
    """Eight characters with a dash, 40 random bits, such as ``8F3K-2210``."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{text[:4]}-{text[4:]}"


def init_app(app: Flask) -> None:
    """Give each request its number before anything else runs."""

    @app.before_request
    def start() -> None:
        g.request_id = new_request_id()

    @app.after_request
    def show(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "-")
        return response
