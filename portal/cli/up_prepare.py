"""A step of ``portal up`` in a process of its own: migrations, set-up link, demonstration accounts.

Apart, because the supervisor stays small and loads no SQLAlchemy. The last line of its output is JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from portal.cli.user import create_demo_accounts, issue_setup_token
from portal.db import upgrade
from portal.settings import load_settings


def main(arguments: list[str]) -> dict[str, Any]:
    """Do the work; returns what the terminal shows."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    settings = load_settings()
    upgrade(settings)
    answer: dict[str, Any] = {}
    if "--demo" in arguments:
        answer["accounts"] = create_demo_accounts(settings)
    token = issue_setup_token(settings)
    if token is not None:
        answer["setup_path"] = f"/setup?token={token}"
    return answer


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), ensure_ascii=False))
