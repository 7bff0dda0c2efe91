"""A person's journey over plain HTTP with the standard library alone: sign in, upload, wait, export, sign out.

Usable as a script, so that it also runs inside a network namespace without any route:
``python -m tests.support.journey ADDRESS LOGIN PASSWORD FILE`` prints the exported text.
"""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import json
import re
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

CSRF = re.compile(r'name="csrf[_-]token"\s+(?:value|content)="([^"]+)"')
CHUNK = 4 * 1024 * 1024


@dataclass
class Answer:
    """One HTTP answer, errors included."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


@dataclass
class Journey:
    """A browser without scripts. ``ca_file``: PEM file of the CA to trust for https addresses."""

    address: str
    ca_file: Path | None = None
    jar: http.cookiejar.CookieJar = field(default_factory=http.cookiejar.CookieJar)

    def __post_init__(self) -> None:
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.jar),
        ]
        if self.address.startswith("https"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca_file)))
        self.opener = urllib.request.build_opener(*handlers)
        self.csrf = ""

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """One request; redirects are followed, error answers are returned and not raised."""
        url = path if path.startswith("http") else self.address + path
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
        if self.csrf and method not in ("GET", "HEAD"):
            request.add_header("X-CSRFToken", self.csrf)
            request.add_header("Referer", self.address + "/")
        try:
            with self.opener.open(request, timeout=60) as response:
                answer = Answer(response.status, dict(response.headers), response.read(), response.url)
        except urllib.error.HTTPError as error:
            answer = Answer(error.code, dict(error.headers), error.read(), url)
            error.close()
        if token := CSRF.search(answer.text):
            self.csrf = token.group(1)
        return answer

    def get(self, path: str) -> Answer:
        """GET."""
        return self.call("GET", path)

    def post(self, path: str, **fields: str) -> Answer:
        """POST a form with the page's CSRF token."""
        body = urllib.parse.urlencode({"csrf_token": self.csrf, **fields}).encode()
        return self.call("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def sign_in(self, login: str, password: str) -> Answer:
        """Through the page."""
        self.get("/sign-in")
        answer = self.post("/sign-in", login=login, password=password)
        if answer.status != 200 or answer.url.endswith("/sign-in"):
            raise AssertionError(f"sign-in failed: {answer.status} {answer.url}")
        return answer

    def upload(self, file: Path, *, name: str | None = None, options: dict[str, object] | None = None) -> str:
        """Send a file in chunks; returns the recording's id.

        Raises:
            AssertionError: the server refused; the message carries its answer.
        """
        data = file.read_bytes()
        meta = {"filename": name or file.name, "options": json.dumps(options or {"itn": True, "channels": "mix"})}
        encoded = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in meta.items())
        tus = {"Tus-Resumable": "1.0.0"}
        created = self.call(
            "POST", "/uploads", b"", {**tus, "Upload-Length": str(len(data)), "Upload-Metadata": encoded}
        )
        assert created.status == 201, f"{created.status} {created.text}"
        location = urllib.parse.urljoin(self.address, created.headers["Location"])
        offset = 0
        while offset < len(data):
            chunk = data[offset : offset + CHUNK]
            digest = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
            answer = self.call(
                "PATCH",
                location,
                chunk,
                {
                    **tus,
                    "Content-Type": "application/offset+octet-stream",
                    "Upload-Offset": str(offset),
                    "Upload-Checksum": f"sha256 {digest}",
                },
            )
            assert answer.status == 204, f"{answer.status} {answer.text}"
            offset = int(answer.headers["Upload-Offset"])
        state = json.loads(self.call("GET", location, None, {"Accept": "application/json"}).text)
        assert state["recording_id"], state
        return str(state["recording_id"])

    def wait_for_text(self, recording: str, *, seconds: float = 120) -> str:
        """Poll the export until the text is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.get(f"/transcripts/{recording}/export/txt")
            if answer.status == 200:
                return answer.text
            time.sleep(0.5)
        raise AssertionError(f"no text after {seconds} s: {answer.status} {answer.text[:500]}")


def main() -> None:
    """Run the journey and print what it exported."""
    address, login, password, file = sys.argv[1:5]
    person = Journey(address)
    person.sign_in(login, password)
    recording = person.upload(Path(file))
    print(person.wait_for_text(recording))
    subtitles = person.get(f"/transcripts/{recording}/export/srt")
    assert subtitles.status == 200, subtitles.text
    assert "-->" in subtitles.text
    assert person.post("/sign-out").status == 200
    assert person.get("/history").url.split("?")[0].endswith("/sign-in")


if __name__ == "__main__":
    main()
