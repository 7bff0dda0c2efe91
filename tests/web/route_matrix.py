"""Who may use which route, written down: ``python -m tests.web.route_matrix --write`` after adding or changing one.

The file lets a reviewer see every right that a change gives; the tests compare it with the application.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from werkzeug.routing import Rule

from portal.app import create_app
from portal.http.guards import permission_of
from portal.services.identity.permissions import may
from portal.settings import load_settings

FILE = Path(__file__).with_name("route_matrix.json")
PEOPLE = ("anonymous", "staff", "admin", "auditor")


def methods_of(rule: Rule) -> list[str]:
    """The methods somebody declared; HEAD beside GET and OPTIONS come by themselves."""
    methods = set(rule.methods or ())
    if "GET" in methods:
        methods.discard("HEAD")
    if getattr(rule, "provide_automatic_options", True):
        methods.discard("OPTIONS")
    return sorted(methods)


def routes(app: Flask) -> Iterator[tuple[str, Rule]]:
    """Every method of every route but the static files."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            for method in methods_of(rule):
                yield method, rule


def matrix(app: Flask) -> dict[str, dict[str, object]]:
    """``{"GET /account": {"endpoint": …, "permission": …, "allowed": [people]}}``."""
    found: dict[str, dict[str, object]] = {}
    for method, rule in routes(app):
        permission = permission_of(app.view_functions[rule.endpoint])
        assert permission is not None, rule
        allowed = [person for person in PEOPLE if may(person, permission)]
        name = f"{rule.rule} {method}"
        found[name] = {"endpoint": rule.endpoint, "permission": permission.value, "allowed": allowed}
    return dict(sorted(found.items()))


def read() -> dict[str, dict[str, object]]:
    """The checked-in matrix."""
    known: dict[str, dict[str, object]] = json.loads(FILE.read_text(encoding="utf-8"))
    return known


def text(found: dict[str, dict[str, object]]) -> str:
    """One route a line, so that differences read well."""
    lines = (f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in found.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Print the matrix, or write it to its file with ``--write``."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(load_settings(instance=Path(folder)))
    if "--write" in sys.argv:
        FILE.write_text(text(matrix(app)), encoding="utf-8")
        print(f"{FILE.name}: {len(read())} routes")
    else:
        print(text(matrix(app)), end="")


if __name__ == "__main__":
    main()
