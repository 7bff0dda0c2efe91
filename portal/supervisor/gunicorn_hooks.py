"""gunicorn's configuration file: what cannot be said on its command line."""

from __future__ import annotations

import os
from typing import Any

from portal.supervisor.shim import die_with_parent


def post_fork(_server: Any, _worker: Any) -> None:
    """A web worker must not outlive gunicorn, even when that is killed."""
    die_with_parent(os.getppid())
