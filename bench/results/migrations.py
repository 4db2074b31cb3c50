"""Brings what earlier versions of the suite wrote to the layout of today, one schema version at a time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.results.cells import identity

Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""Brings the JSON of a record from one schema version to the next; ``cell.schema`` and ``id`` follow by themselves."""

# The suite's methods when the first schema ended: a method of any other name came from a plugin.
_METHODS_OF_SCHEMA_1 = (
    "codec-av1", "codec-h264", "dc", "dc+sd", "dm", "dm+sd", "dsa", "frepo", "frepo+sd", "full", "herding", "kcenter",
    "mtt", "mtt+sd", "random", "random-frozen", "random-shuffled", "static-only",
)  # fmt: skip


def cell_of_schema_2(cell: dict[str, Any]) -> dict[str, Any]:
    """A method is known by its version, no longer by the digest of its source; that of a plugin still holds a digest.

    The digest of a plugin's source was one of its bytes. It is kept as it is, so its cells run once more.
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
"""By the version that they start from. Fields that were only added need none: reading gives them their defaults."""

CELL_MIGRATIONS: dict[int, Migration] = {1: cell_of_schema_2}
"""The same for a cell alone, as the manifest of a set holds it."""


def current_cell(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a cell brought to this schema version; as they are where there is no way to it."""
    while fields.get("schema") in CELL_MIGRATIONS:
        fields = CELL_MIGRATIONS[fields["schema"]](fields)
    return fields
