"""Converts what earlier versions of the suite wrote to today's layout, one schema version at a time. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.results.cells import identity

Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts the JSON of a record from one schema version to the next. The caller updates ``cell.schema`` and ``id``."""

# The suite's methods when schema 1 ended. A method with any other name came from a plugin.
_METHODS_OF_SCHEMA_1 = (
    "codec-av1", "codec-h264", "dc", "dc+sd", "dm", "dm+sd", "dsa", "frepo", "frepo+sd", "full", "herding", "kcenter",
    "mtt", "mtt+sd", "random", "random-frozen", "random-shuffled", "static-only",
)  # fmt: skip


def cell_of_schema_2(cell: dict[str, Any]) -> dict[str, Any]:
    """Identifies a method by its version instead of a digest of its source. A method of a plugin still has a digest.

    That digest used to be of the source's bytes, and is now of its meaning. The old one stays here, so such cells run again.
    """
    fields = {name: value for name, value in cell.items() if name != "source"}
    plugins = {} if cell["method"] in _METHODS_OF_SCHEMA_1 else {"method": cell["source"]}
    return {**fields, "version": 1, "plugins": plugins, "schema": 2}


def _record_of_schema_2(body: dict[str, Any]) -> dict[str, Any]:
    cell = cell_of_schema_2(body["cell"])
    migrated = {**body, "cell": cell, "provenance": {**body["provenance"], "source": body["cell"]["source"]}}
    stored = body["set"]
    if stored is not None and stored["artefact"] == identity({**body["cell"], "evaluation_network": None}):
        migrated["set"] = {**stored, "artefact": identity({**cell, "evaluation_network": None})}
    return migrated


MIGRATIONS: dict[int, Migration] = {1: _record_of_schema_2}
"""By the version that they start from. A field that was only added needs no migration: it gets its default when read."""

CELL_MIGRATIONS: dict[int, Migration] = {1: cell_of_schema_2}
"""The same for a cell alone, as it is in the manifest of a set."""


def current_cell(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a cell, converted to this schema version; unchanged if there is no migration."""
    while fields.get("schema") in CELL_MIGRATIONS:
        fields = CELL_MIGRATIONS[fields["schema"]](fields)
    return fields
