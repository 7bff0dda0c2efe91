"""The administrator's pages, one module per page."""

from __future__ import annotations

from portal.views.admin import departments, engine, hotwords, jobs, overview, people, replacements, settings
from portal.views.admin.blueprint import bp

__all__ = ["bp", "departments", "engine", "hotwords", "jobs", "overview", "people", "replacements", "settings"]
