"""A browser that speaks tus."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.models import User
from tests.support.world import World


class Tus:
    """One person's uploads."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def begin(
        self, total: int, name: str = "会议.wav", options: dict[str, Any] | None = None, **headers: str
    ) -> TestResponse:
        parts = [f"filename {base64.b64encode(name.encode('utf-8', 'surrogatepass')).decode()}"]
        if options is not None:
            parts.append(f"options {base64.b64encode(json.dumps(options).encode()).decode()}")
        return self.client.post(
            "/uploads",
            headers={
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(total),
                "Upload-Metadata": ",".join(parts),
                **headers,
            },
        )

    def patch(
        self, place: str, offset: int, data: bytes, *, checksum: str | None = None, **headers: str
    ) -> TestResponse:
        named = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), **headers}
        if checksum is not None:
            named["Upload-Checksum"] = checksum
        kind = named.pop("Content-Type", "application/offset+octet-stream")
        return self.client.patch(place, data=data, content_type=kind, headers=named)

    def offset(self, place: str) -> int:
        answer = self.client.head(place, headers={"Tus-Resumable": "1.0.0"})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        return int(answer.headers["Upload-Offset"])

    def send(self, data: bytes, name: str = "会议.wav", **more: Any) -> TestResponse:
        started = self.begin(len(data), name, **more)
        assert started.status_code == 201, started.text
        return self.patch(started.headers["Location"], 0, data)


def sha256(data: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture
def tus(client_of: Callable[[User], FlaskClient], world: World) -> Tus:
    """Lin's uploads."""
    return Tus(client_of(world.lin))


@pytest.fixture
def stranger(client_of: Callable[[User], FlaskClient], world: World) -> Tus:
    """Wang's uploads."""
    return Tus(client_of(world.wang))
