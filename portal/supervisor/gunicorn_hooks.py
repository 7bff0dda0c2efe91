"""gunicorn's configuration file: what cannot be said on its command line."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from portal.supervisor.shim import die_with_parent

SILENCE_SECONDS = 15
"""A caller in the middle of a request who sends nothing for so long is cut off; an upload then goes on from there.

gunicorn's threads read without any limit: some dozen half requests would occupy them all.
"""
limit_request_field_size = 32 * 1024
"""Bytes of one header: an upload names its options in one (tus), up to 200 hotwords of 16 characters in base64."""


def post_fork(_server: Any, worker: Any) -> None:
    """A web worker must not outlive gunicorn, even when that is killed; nor wait for callers who say nothing."""
    die_with_parent(os.getppid())
    for listener in worker.sockets:
        # the kernel gives the limit on to every accepted connection
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_SECONDS, 0))
