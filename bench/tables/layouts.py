"""Every layout of the tables, by the name that ``table --by`` takes. A new layout is a file and a line here."""

from __future__ import annotations

from bench.tables import by_bytes, by_ipc, by_setting, nets, probes, taxonomy
from bench.tables.layout import Layout

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        by_ipc.LAYOUT,
        by_bytes.LAYOUT,
        by_setting.LAYOUT,
        probes.LAYOUT,
        taxonomy.LAYOUT,
        nets.LAYOUT,
    )
}
BY = tuple(LAYOUTS)
